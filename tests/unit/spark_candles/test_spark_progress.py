"""What is published of Spark's progress reports."""

from prometheus_client import REGISTRY

from crypto_analytics.spark_candles.progress import publish


def test_a_report_is_published() -> None:
    publish({"inputRowsPerSecond": 12.5, "processedRowsPerSecond": 100.0})
    assert REGISTRY.get_sample_value("spark_input_rows_per_second") == 12.5
    assert REGISTRY.get_sample_value("spark_processed_rows_per_second") == 100.0
    assert REGISTRY.get_sample_value("spark_last_progress_timestamp_seconds")


def test_a_report_of_an_idle_query_has_no_rates() -> None:
    publish({"sources": []})
    assert REGISTRY.get_sample_value("spark_input_rows_per_second") == 0
