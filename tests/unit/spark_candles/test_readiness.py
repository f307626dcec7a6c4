"""Readiness of the Spark variant, from Spark's own reports on the query."""

from typing import Any

from crypto_analytics.spark_candles.readiness import QueryReadiness

STARTING = {"message": "Initializing sources", "isTriggerActive": False}
MERGING = {"message": "Processing new data", "isTriggerActive": True}
IDLE = {"message": "Waiting for next trigger", "isTriggerActive": False}


def test_a_query_is_ready_after_its_first_merged_batch() -> None:
    readiness = QueryReadiness(now=lambda: 0.0)
    assert not readiness.update(STARTING, None, has_executor=False)
    assert not readiness.update(MERGING, None, has_executor=True)
    assert readiness.update(MERGING, "10:00:01", has_executor=True)


def test_a_query_of_a_topic_without_unread_records_is_ready_once_an_executor_runs() -> None:
    readiness = QueryReadiness(now=lambda: 0.0)
    assert not readiness.update(STARTING, None, has_executor=True)
    readiness = QueryReadiness(now=lambda: 0.0)
    assert not readiness.update(IDLE, None, has_executor=False)
    assert readiness.update(IDLE, None, has_executor=True)


def test_a_query_that_was_ready_stays_ready_between_batches() -> None:
    readiness = QueryReadiness(now=lambda: 0.0)
    assert readiness.update(IDLE, None, has_executor=True)
    assert readiness.update(MERGING, None, has_executor=True)


def test_a_slow_batch_makes_a_query_unready_until_it_is_done() -> None:
    seconds = 0.0
    readiness = QueryReadiness(now=lambda: seconds)
    found = {}
    reports: list[tuple[float, dict[str, Any], str]] = [
        (0, IDLE, "a"), (29, MERGING, "a"), (30, MERGING, "a"), (31, MERGING, "b"), (61, MERGING, "b"), (62, IDLE, "b")
    ]  # fmt: skip
    for seconds, status, reported_at in reports:
        found[seconds] = readiness.update(status, reported_at, has_executor=True)
    assert found == {0: True, 29: True, 30: False, 31: True, 61: False, 62: True}
