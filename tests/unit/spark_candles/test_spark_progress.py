"""What is published of Spark's progress reports."""

import json

import pytest
from prometheus_client import REGISTRY

from crypto_analytics.spark_candles.progress import lag, publish

TOPIC = "crypto.trades.raw"


def source(end: object, latest: object) -> dict[str, object]:
    return {"startOffset": None, "endOffset": end, "latestOffset": latest}


@pytest.mark.parametrize("as_text", [False, True])
def test_the_lag_is_what_lies_between_the_batch_and_the_end_of_the_topic(as_text: bool) -> None:
    end, latest = {TOPIC: {"0": 10, "1": 7}}, {TOPIC: {"0": 15, "1": 7, "2": 3}}
    texts = map(json.dumps, (end, latest)) if as_text else (end, latest)
    assert lag(source(*texts)) == 5 + 3


def test_nothing_is_behind_where_the_topic_is_unknown() -> None:
    assert lag(source(None, None)) == 0


def test_a_topic_made_anew_does_not_count_backwards() -> None:
    assert lag(source({TOPIC: {"0": 10}}, {TOPIC: {"0": 4}})) == 0


def test_a_report_is_published() -> None:
    publish(
        {
            "inputRowsPerSecond": 12.5,
            "processedRowsPerSecond": 100.0,
            "sources": [source({TOPIC: {"0": 1}}, {TOPIC: {"0": 4}})],
        }
    )
    assert REGISTRY.get_sample_value("input_rows_per_second") == 12.5
    assert REGISTRY.get_sample_value("processed_rows_per_second") == 100.0
    assert REGISTRY.get_sample_value("consumer_lag_trades") == 3
    assert REGISTRY.get_sample_value("last_progress_timestamp_seconds")


def test_a_report_of_an_idle_query_has_no_rates() -> None:
    publish({"sources": [source({TOPIC: {"0": 4}}, {TOPIC: {"0": 4}})]})
    assert REGISTRY.get_sample_value("input_rows_per_second") == 0
    assert REGISTRY.get_sample_value("consumer_lag_trades") == 0
