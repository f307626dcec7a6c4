"""The report of a task to the driver, and the metrics that are set from Spark's progress reports."""

from collections import Counter

from prometheus_client import REGISTRY

from crypto_analytics.spark_candles.reports import TaskReport, next_offsets, publish_progress
from crypto_analytics.store.merge import Merged
from crypto_analytics.streaming.merger import BatchResult

RESULT = BatchResult(5, Merged(3, 3, 1, [], [1_767_571_200_000_000]), Counter({"bad_id": 1}))


def report(offsets: dict[int, int]) -> TaskReport:
    return TaskReport.of(RESULT, offsets)


def test_the_counts_are_the_same_after_encoding_and_decoding() -> None:
    sent = report({2: 17})
    assert TaskReport.from_json(sent.to_json()) == sent
    assert sent.result() == RESULT


def test_the_next_offsets_are_the_greatest_of_all_reports() -> None:
    assert next_offsets([report({0: 9, 1: 4}), report({0: 12}), report({0: 10})]) == {0: 12, 1: 4}
    assert next_offsets([]) == {}


def test_a_progress_report_is_published() -> None:
    publish_progress({"inputRowsPerSecond": 12.5, "processedRowsPerSecond": 100.0})
    assert REGISTRY.get_sample_value("spark_input_rows_per_second") == 12.5
    assert REGISTRY.get_sample_value("spark_processed_rows_per_second") == 100.0
    assert REGISTRY.get_sample_value("spark_last_progress_timestamp_seconds")


def test_a_report_of_an_idle_query_has_no_rates() -> None:
    publish_progress({"sources": []})
    assert REGISTRY.get_sample_value("spark_input_rows_per_second") == 0
