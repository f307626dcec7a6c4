"""Merge an executor's part of a micro-batch, with the code that the consumer merges a batch with.

Each part is merged in its own transaction, and the database serialises transactions by symbol. Candles are a monoid and
each trade id counts once, so the result does not depend on how Spark divides the records or repeats tasks.
"""

import threading
from collections.abc import Iterator
from functools import cache

import pyarrow as pa
import structlog

from crypto_analytics.runtime import logs
from crypto_analytics.runtime.settings import load
from crypto_analytics.spark_candles.reports import TaskReport
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.merger import Merger, open_merger


@cache
def _worker() -> tuple[SparkCandlesSettings, Merger]:
    """Return the merger of this worker process. Spark reuses the process, and so its connections, for later tasks.

    Settings and passwords come from the executor's environment, never through Spark.
    """
    settings = load(SparkCandlesSettings, "spark_candles")
    logs.configure("spark_candles", settings)
    never_set = threading.Event()  # Spark stops a task by killing it: its transaction is rolled back
    return settings, open_merger(settings, "spark-candles", never_set, structlog.get_logger("spark_candles"))


def prepare_worker(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Create this worker's merger ahead of the first batch; yield nothing."""
    _worker()
    for _ in parts:
        pass
    yield from ()


def merge_records(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Merge records (value, partition, offset) of the trades topic and yield the report of each part.

    Raises:
        Exception: an error that no retry can fix; the part is not merged, and Spark fails the batch.
    """
    settings, merger = _worker()
    for part in parts:
        values = [value or b"" for value in part.column("value").to_pylist()]
        partitions, offsets = part.column("partition").to_pylist(), part.column("offset").to_pylist()

        def origin(position: int, partitions: list[int] = partitions, offsets: list[int] = offsets) -> str:
            return f"{settings.KAFKA_TOPIC_TRADES}/{partitions[position]}/{offsets[position]}"

        result = merger.merge(DecodedRecords.of(values, origin, merger.rules()))
        next_offsets: dict[int, int] = {}
        for partition, offset in zip(partitions, offsets, strict=True):
            next_offsets[partition] = max(next_offsets.get(partition, 0), offset + 1)
        yield pa.RecordBatch.from_pylist([{"report": TaskReport.of(result, next_offsets).to_json()}])
