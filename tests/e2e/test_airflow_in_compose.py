"""The batch in Airflow with the containers of Compose, and the requests that the engine's proxy refuses."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ops.compose.project import STEPS_OF_BATCH
from ops.platform.airflow import Airflow
from tests.e2e.compose import Compose
from tests.e2e.pipeline import (
    NAMES,
    RECEIVER,
    RECEIVER_PROGRAM,
    Pipeline,
    check_alert,
    check_gold,
    check_stopped_at_the_gate,
    gold,
    poisoned,
)
from tests.e2e.platforms import Platform
from tests.e2e.programs import attempt, run
from tests.e2e.recomputation import DEFAULT_SYMBOLS, wait_caught_up
from tests.e2e.report import Report
from tests.e2e.waiting import Stopwatch, wait_until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

# Prints the status of each request (method, path, body) to the engine's proxy.
_REQUESTS = """
import json, sys
from http.client import HTTPConnection
statuses = []
for method, path, body in json.loads(sys.argv[1]):
    connection = HTTPConnection("engine-proxy", 2375, timeout=20)
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    statuses.append(connection.getresponse().status)
print(json.dumps(statuses))
"""


class PipelineOfContainers(Pipeline):
    """The pipeline in the running Airflow, its steps' containers, and its webhook."""

    def __init__(self, compose: Compose, api: Airflow) -> None:
        super().__init__(api)
        self.compose = compose

    def receiver_log(self) -> str:
        return run("docker", "logs", self.compose.container_name(RECEIVER))


@pytest.fixture(scope="module")
def pipeline(compose: Compose) -> Iterator[PipelineOfContainers]:
    """Yield the pipeline without its schedule, with short waits between tries and a test webhook."""
    receiver = compose.container_name(RECEIVER)
    (tools,) = compose.containers("migrate", "--all")
    try:
        run("docker", "run", "--detach", "--name", receiver, "--network-alias", RECEIVER,
            "--network", next(iter(tools["NetworkSettings"]["Networks"])), "--read-only",
            "--entrypoint", "python", tools["Config"]["Image"], "-uc", RECEIVER_PROGRAM)  # fmt: skip
        with compose.airflow() as api:
            parsed = api.pipeline()["last_parsed_time"]
            quick = {"BATCH_SCHEDULE": "0 0 1 1 *", "BATCH_RETRY_SECONDS": "1"}
            compose.change("airflow-dag-processor", settings=quick)
            compose.change("airflow-scheduler", settings=quick | {"ALERT_WEBHOOK_URL": f"http://{RECEIVER}:8000/"})
            wait_until(lambda: api.pipeline()["last_parsed_time"] > parsed, 120, "the DAG is parsed anew", every=1)
            api.pause(paused=False)
            yield PipelineOfContainers(compose, api)
            compose.wait_no_run(api)
            api.pause(paused=True)
    finally:
        compose.change_back("airflow-dag-processor", "airflow-scheduler")
        run("docker", "rm", "--force", receiver)


def has_silver(platform: Platform) -> bool:
    """Return whether an earlier run has built silver."""
    with platform.postgres("superuser") as connection:
        row = connection.execute("select to_regclass('analytics.silver_klines_1m') is not null").fetchone()
        return bool(row and row[0])


def test_a_poisoned_row_stops_at_the_gate_and_a_killed_step_is_retried(
    pipeline: PipelineOfContainers, compose: Compose, platform: Platform, report: Report
) -> None:
    """Two runs are triggered at once: the second one waits for the end of the first.

    The first run leaves out dbt's tests of silver, which would find the rows before the gate does.
    """
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    if not has_silver(platform):
        assert pipeline.run()[0]["state"] == "success"
    before, step = gold(platform), "dbt-test-silver"
    compose.change_step(step, ["dbt", "--version"])
    with poisoned(platform):
        bad, good = pipeline.api.trigger(), pipeline.api.trigger()
        assert pipeline.ended(bad)["state"] == "failed"
        check_stopped_at_the_gate(pipeline.api.tasks(bad))
        assert gold(platform) == before
        (alert,) = pipeline.alerts()
        check_alert(alert, bad, platform.port("airflow"))
    compose.change_step_back(step)

    pipeline.wait_for(good, "dbt_silver", "running")
    wait_until(lambda: compose.is_running("dbt-silver"), 60, "the container of dbt_silver runs", every=0.2)
    run("docker", "kill", compose.container_name("dbt-silver"))
    watch, started = Stopwatch(), datetime.now(UTC)
    assert pipeline.ended(good)["state"] == "success"
    report.recovered["airflow: killed step to success"] = watch.seconds
    tasks = pipeline.api.tasks(good)
    assert {name: its["try_number"] for name, its in tasks.items()} == dict.fromkeys(NAMES, 1) | {"dbt_silver": 2}
    assert any("it was killed (exit code 137)" in line for line in pipeline.api.log(good, "dbt_silver", 1))
    assert any("Completed successfully" in line for line in pipeline.api.log(good, "dbt_silver", 2))
    assert len(pipeline.alerts()) == 1
    check_gold(platform, min(started, datetime.fromisoformat(tasks["backfill_recent"]["start_date"])))


def test_the_proxy_refuses_all_but_the_steps(compose: Compose) -> None:
    step, store = compose.container_name(STEPS_OF_BATCH[0]), compose.container_name("postgres")
    root = {"Image": "debian", "HostConfig": {"Binds": ["/:/host"], "Privileged": True}}
    refused = [
        ("POST", "/containers/create", root),
        ("POST", f"/containers/create?name={step}", root),
        ("POST", f"/v1.23/containers/{step}/start", {"Privileged": True}),
        ("POST", f"/containers/{step}/start", {"Privileged": True}),
        ("POST", f"/containers/{step}/exec", {"Cmd": ["id"]}),
        ("POST", f"/containers/{step}/rename?name=mine", None),
        ("POST", f"/containers/{step}/update", {"Memory": 1}),
        ("POST", f"/containers/{step}/../{store}/stop", None),
        ("POST", f"/containers/{step}%2F..%2F{store}/stop", None),
        ("DELETE", f"/containers/{step}", None),
        ("GET", f"/containers/{step}/json", None),
        ("GET", f"/containers/{step}/archive?path=/", None),
        ("POST", f"/containers/{store}/start", None),
        ("POST", f"/containers/{store}/stop", None),
        ("GET", f"/containers/{store}/logs?stdout=1", None),
        ("GET", "/containers/json", None),
        ("GET", "/info", None),
        ("GET", "/images/json", None),
        ("POST", "/images/create?fromImage=debian", None),
        ("POST", "/build", None),
        ("POST", "/volumes/create", None),
        ("POST", "/networks/create", {"Name": "mine"}),
    ]
    scheduler = ("docker", "exec", compose.container_name("airflow-scheduler"), "python", "-c", _REQUESTS)
    statuses = json.loads(run(*scheduler, json.dumps(refused)))
    assert [request for request, status in zip(refused, statuses, strict=True) if status != 403] == []
    assert json.loads(run(*scheduler, json.dumps([("GET", "/_ping", None)]))) == [200]


def test_only_the_scheduler_reaches_the_proxy_and_only_the_proxy_has_the_socket(compose: Compose) -> None:
    connect = "import socket; socket.create_connection(('engine-proxy', 2375), timeout=5)"
    for service in ("airflow", "airflow-dag-processor"):
        done = attempt("docker", "exec", compose.container_name(service), "python", "-c", connect)
        assert done.code != 0, service
        assert "gaierror" in done.err
    with_socket = [
        service
        for service in compose.compose("ps", "--services").split()
        for container in compose.containers(service)
        if any("docker.sock" in mount["Source"] for mount in container["Mounts"])
    ]
    assert with_socket == ["engine-proxy"]
