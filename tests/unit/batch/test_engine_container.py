"""Run a step's container by the engine's API: its requests, its log's format, and the reason of a failure."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crypto_analytics.batch.engine_container import EngineContainer, EngineError, failure_reason, lines
from tests.stub_server import serving

NAME = "crypto-analytics-ge-validate-1"


def frame(content: bytes, stream: int = 1) -> bytes:
    """Return a part of a log in the engine's format."""
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4) + content


class Engine(ThreadingHTTPServer):
    """A stub of the engine's API with one container."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.start_status = 204
        self.asked: list[str] = []

    def container(self, name: str = NAME) -> EngineContainer:
        return EngineContainer(f"http://127.0.0.1:{self.server_port}/containers/{name}")


class _Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/containers/{NAME}/start":
            self._answer(self.server.start_status)
        elif path == f"/containers/{NAME}/wait":
            self._answer(200, json.dumps({"StatusCode": 3, "Error": None}).encode())
        elif path == f"/containers/{NAME}/stop":
            self._answer(304)
        else:
            self._answer(404 if NAME[:6] in path else 403)

    def do_GET(self) -> None:
        self._answer(200, frame(b"one\n") + frame(b"two\n"))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with serving(Engine()) as running:
        yield running


def test_a_container_is_started_followed_and_waited_for(engine: Engine) -> None:
    container = engine.container()
    assert container.start()
    assert list(container.follow(1234.5)) == ["one", "two"]
    assert container.wait() == 3
    container.stop()
    path = f"/containers/{NAME}"
    assert engine.asked == [
        f"POST {path}/start",
        f"GET {path}/logs?follow=1&stdout=1&stderr=1&since=1234.500000000",
        f"POST {path}/wait",
        f"POST {path}/stop?t=15",
    ]


def test_a_container_that_runs_already_is_not_started_twice(engine: Engine) -> None:
    engine.start_status = 304
    assert not engine.container().start()


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("crypto-other-1", r"container crypto-other-1 does not exist; next: make compose-up AIRFLOW=1"),
        ("postgres-1", "the engine's proxy refuses postgres-1: it is not a step's container"),
    ],
)
def test_a_refused_request_names_the_container_and_the_cause(engine: Engine, name: str, cause: str) -> None:
    with pytest.raises(EngineError, match=cause):
        engine.container(name).start()


def test_an_error_of_the_engine_is_a_failure(engine: Engine) -> None:
    engine.start_status = 500
    with pytest.raises(EngineError, match=f"container {NAME}: the engine answers HTTP 500"):
        engine.container().start()


def test_without_the_proxy_every_request_fails(engine: Engine) -> None:
    port = engine.server_port
    engine.shutdown()
    engine.server_close()
    container = EngineContainer(f"http://127.0.0.1:{port}/containers/{NAME}")
    for request in (container.start, container.wait, container.stop, lambda: list(container.follow(0))):
        with pytest.raises(EngineError, match="does not answer"):
            request()


LOG = frame(b"a\nb") + frame("é\n".encode(), stream=2) + frame(b"c\n\n") + frame(b"\xff") + frame(b"end")


@pytest.mark.parametrize("size", range(1, len(LOG) + 1))
def test_a_log_has_the_same_lines_wherever_it_is_cut(size: int) -> None:
    parts = (LOG[at : at + size] for at in range(0, len(LOG), size))
    assert list(lines(parts)) == ["a", "é", "bc", "", "\ufffdend"]


@pytest.mark.parametrize(
    ("exit_code", "last", "reason"),
    [
        (1, ["FAILED expect_ohlc", "batch: ge_validate: failed: exit code 1"], "exit code 1"),
        (3, ["batch: ge_validate: another batch run still held the lock", ""], "another batch run still held the lock"),
        (137, ["batch: dbt_gold: failed: of another step"], "it was killed (exit code 137)"),
        (2, [], "it ended with exit code 2"),
    ],
)
def test_the_reason_is_what_the_steps_runner_reported(exit_code: int, last: list[str], reason: str) -> None:
    assert failure_reason("ge_validate", exit_code, last).startswith(reason)
