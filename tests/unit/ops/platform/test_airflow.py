"""Trigger a run through Airflow's API, and read its state and steps."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import httpx
import pytest
from rich.console import Console

from ops import airflow_run
from ops.platform import health
from ops.platform.airflow import Airflow, has_ended
from tests.stub_server import serving

WELL = {part: {"status": "healthy"} for part in ("metadatabase", "scheduler", "dag_processor")}


class Server(HTTPServer):
    """A stub of Airflow's API that checks the password."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.health = WELL
        self.errors = False
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            is_right = body == {"username": "admin", "password": "right"}
            self._answer(201 if is_right else 401, {"access_token": "t"} if is_right else {})
        else:
            self._answer(200, {"dag_run_id": "manual__1"})

    def do_GET(self) -> None:
        if self.path == "/api/v2/monitor/health":
            self._answer(200, self.server.health)
        else:
            self._answer(200, {"has_import_errors": self.server.errors})

    def _answer(self, status: int, body: object) -> None:
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def test_a_run_is_triggered_with_one_login(server: Server) -> None:
    with Airflow(server.server_port, "right") as api:
        assert api.trigger() == "manual__1"
        api.pipeline()
    assert server.asked == [
        "POST /auth/token",
        "POST /api/v2/dags/crypto_batch_pipeline/dagRuns Bearer t",
        "GET /api/v2/dags/crypto_batch_pipeline Bearer t",
    ]


def test_a_wrong_login_is_refused(server: Server) -> None:
    with Airflow(server.server_port, "wrong") as api, pytest.raises(httpx.HTTPStatusError, match="401"):
        api.pipeline()


def test_health_names_unhealthy_parts(server: Server) -> None:
    assert health.check("Airflow", server.server_port, "right").problem == ""
    assert "401" in health.check("Airflow", server.server_port, "wrong").problem
    server.errors = True
    assert health.check("Airflow", server.server_port, "right").problem == "the pipeline has import errors"
    server.health = WELL | {"scheduler": {"status": "unhealthy"}}
    assert health.check("Airflow", server.server_port, "right").problem == "scheduler is unhealthy"


def test_the_steps_of_a_run_are_listed_in_order() -> None:
    out = Console(file=StringIO(), width=80)
    tasks = {"ge_validate": {"duration": 4.4, "try_number": 3, "state": "failed"}}
    out.print(airflow_run.table(tasks))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert text.index("backfill_recent") < text.index("ge_validate") < text.index("export_lake")
    assert "failed" in text


@pytest.mark.parametrize(
    ("state", "over"), [("success", True), ("failed", True), ("running", False), ("queued", False)]
)
def test_a_run_has_ended_when_it_succeeded_or_failed(state: str, over: bool) -> None:
    assert has_ended({"state": state}) is over
