"""Run a reconciliation: the declaration is read once, and the server is asked again while it is not ready."""

from threading import Event

import structlog
from structlog.testing import capture_logs

from crypto_analytics.jobs import reconciliation
from crypto_analytics.jobs.declarations import InvalidDeclaration
from crypto_analytics.jobs.reconciliation import NotReady


class Job:
    """A declaration and a server; ``failures`` calls find the server not ready."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.reads = 0
        self.reconciled: list[str] = []
        self._failures = failures
        self._error = error

    def read(self) -> str:
        self.reads += 1
        if self._error is not None:
            raise self._error
        return f"declaration {self.reads}"

    def reconcile(self, declaration: str) -> int:
        self.reconciled.append(declaration)
        if len(self.reconciled) <= self._failures:
            raise NotReady("it starts")
        return 2

    def run(self, stop: Event | None = None) -> int:
        return reconciliation.run(
            self.read,
            self.reconcile,
            wait_seconds=30,
            server_errors=(),
            login_settings="USER and PASSWORD",
            stop=stop or Event(),
            log=structlog.stdlib.get_logger(),
        )


def test_the_declaration_is_read_once_however_often_the_server_is_asked() -> None:
    job = Job(failures=2)
    with capture_logs() as logs:
        assert job.run() == 0
    assert (job.reads, job.reconciled) == (1, ["declaration 1"] * 3)
    assert [entry["event"] for entry in logs] == ["server_not_ready", "server_not_ready", "reconciliation_finished"]


def test_an_invalid_declaration_fails_before_the_server_is_asked() -> None:
    job = Job(error=InvalidDeclaration("access.json: a topic is declared twice"))
    with capture_logs() as logs:
        assert job.run() == 1
    assert job.reconciled == []
    assert logs[-1]["event"] == "reconciliation_failed"
    assert logs[-1]["error"] == "access.json: a topic is declared twice"


def test_a_stop_ends_the_retries() -> None:
    job, stop = Job(failures=100), Event()
    stop.set()
    assert job.run(stop) == 1
    assert len(job.reconciled) == 1
