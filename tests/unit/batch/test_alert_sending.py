"""Send one alert for a batch that failed for good."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from structlog.testing import capture_logs

from crypto_analytics.batch.__main__ import INTERRUPTED, finish
from crypto_analytics.batch.runner import StepResult
from crypto_analytics.batch.settings import BatchSettings
from crypto_analytics.batch.step_definitions import STEPS
from tests.stub_server import serving

GOOD = StepResult(STEPS[2], 0, 1, 4.0, ("fine",))
BAD = StepResult(STEPS[3], 1, 3, 20.0, ("FAILED expect_ohlc_in_order",))


class Webhook(HTTPServer):
    """A webhook server that keeps its messages and answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.messages: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/secret"


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serving(Webhook()) as server:
        yield server


def settings(url: str) -> BatchSettings:
    passwords = dict.fromkeys(("WRITER_PASSWORD", "TRANSFORMER_PASSWORD", "GATE_PASSWORD", "READER_PASSWORD"), "p")
    return BatchSettings(**passwords, ALERT_WEBHOOK_URL=url)  # type: ignore[arg-type]


def end(results: list[StepResult], url: str, *, stopped: bool = False) -> tuple[int, str]:
    """Return the exit code of a run with these results, and its log."""
    with capture_logs() as logged:
        code = finish(results, settings(url), structlog.get_logger(), stopped=stopped)
    return code, str(logged)


def test_a_final_failure_is_sent_once_with_the_step_and_its_log(
    webhook: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end([GOOD, BAD], webhook.url)[0] == 1
    (message,) = webhook.messages
    assert "ge_validate" in message["text"]
    assert "expect_ohlc_in_order" in message["text"]
    assert capsys.readouterr().err.splitlines()[-1].startswith("batch: ge_validate failed")


def test_success_and_a_stop_send_no_alert(webhook: Webhook) -> None:
    assert end([GOOD], webhook.url)[0] == 0
    assert end([BAD], webhook.url, stopped=True)[0] == INTERRUPTED
    assert not webhook.messages


def test_an_alert_that_fails_is_logged_without_the_secret_address(webhook: Webhook) -> None:
    webhook.status = 500
    for url in (webhook.url, "http://127.0.0.1:1/services/secret"):
        code, logged = end([BAD], url)
        assert code == 1
        assert "alert_failed" in logged
        assert "secret" not in logged


def test_without_a_webhook_nothing_is_sent() -> None:
    code, logged = end([BAD], "")
    assert code == 1
    assert "alert_failed" not in logged
