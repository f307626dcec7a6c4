"""Client of Airflow's REST API: trigger, pause and read runs of the pipeline."""

from types import TracebackType
from typing import Any, Self

import httpx

from crypto_analytics.batch.alert import PIPELINE
from ops.common.loopback import LOOPBACK
from ops.platform.endpoints import AIRFLOW_ADMIN

COMPONENT = "airflow"
LOGIN_KEY = "AIRFLOW_ADMIN_PASSWORD"  # of the Secret airflow
PARTS = ("metadatabase", "scheduler", "dag_processor")
_ENDED = {"success", "failed"}
Object = dict[str, Any]


class Airflow:
    """Client of the API on a port of this machine, as admin. Every method raises ``httpx.HTTPError`` on failure."""

    def __init__(self, port: int, password: str, timeout: float = 30.0) -> None:
        self._http = httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=timeout, trust_env=False)
        self._password = password

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def health(self) -> dict[str, str]:
        """Return the status of each part of Airflow; needs no login."""
        answer = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        return {part: str(answer[part]["status"]) for part in PARTS}

    def pipeline(self) -> Object:
        """Return the DAG of the pipeline."""
        return dict(self._request("GET", ""))

    def pause(self, *, paused: bool) -> None:
        """Pause the schedule, or resume it."""
        self._request("PATCH", "", {"is_paused": paused})

    def trigger(self) -> str:
        """Trigger a run and return its id."""
        return str(self._request("POST", "/dagRuns", {"logical_date": None})["dag_run_id"])

    def run(self, run: str) -> Object:
        """Return a run."""
        return dict(self._request("GET", f"/dagRuns/{run}"))

    def runs(self, *states: str) -> list[Object]:
        """Return the newest runs, only those in ``states`` if any is given."""
        wanted = "".join(f"&state={state}" for state in states)
        runs: list[Object] = self._request("GET", f"/dagRuns?order_by=-run_after&limit=50{wanted}")["dag_runs"]
        return runs

    def tasks(self, run: str) -> dict[str, Object]:
        """Return the tasks of a run by name."""
        return {
            task["task_id"]: task for task in self._request("GET", f"/dagRuns/{run}/taskInstances")["task_instances"]
        }

    def log(self, run: str, task: str, number: int) -> list[str]:
        """Return the log lines of one try of a task."""
        answer = self._request("GET", f"/dagRuns/{run}/taskInstances/{task}/logs/{number}?full_content=true")
        return [line if isinstance(line, str) else str(line.get("event", "")) for line in answer["content"]]

    def _request(self, method: str, path: str, body: Object | None = None) -> Any:
        if "Authorization" not in self._http.headers:
            login = {"username": AIRFLOW_ADMIN, "password": self._password}
            token = self._http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        return self._http.request(method, f"/api/v2/dags/{PIPELINE}{path}", json=body).raise_for_status().json()


def has_ended(run: Object) -> bool:
    """Return whether a run has succeeded or failed."""
    return run["state"] in _ENDED
