"""Retries with backoff, and when they end."""

from threading import Event

import pytest

from crypto_analytics.runtime.retry import call_with_retries


def test_retries_end_with_success_another_error_the_time_limit_or_a_stop() -> None:
    retried: list[str] = []
    answers = iter([ConnectionError("away"), ConnectionError("still"), "here", ValueError("wrong")])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def retry(seconds: float, stop: Event) -> str:
        return call_with_retries(
            call,
            retryable=ConnectionError,
            timeout_seconds=seconds,
            stop=stop,
            on_retry=lambda error: retried.append(str(error)),
        )

    assert retry(60, Event()) == "here"
    assert retried == ["away", "still"]
    with pytest.raises(ValueError, match="wrong"):
        retry(60, Event())
    answers = iter([ConnectionError("one"), ConnectionError("two")])
    with pytest.raises(ConnectionError, match="one"):
        retry(0, Event())
    stopped = Event()
    stopped.set()
    with pytest.raises(ConnectionError, match="two"):
        retry(60, stopped)
