"""What an executor does with its share of a micro-batch: all that variant A does with a batch, by the same code.

Each share is merged in a transaction of its own, serialised per symbol by the database. Candles are a monoid and each
id counts once, so it makes no difference how Spark divides the records, and which of the shares it does again.
"""

import threading
from collections.abc import Iterator
from functools import cache

import pyarrow as pa
import structlog

from crypto_analytics.runtime import logs
from crypto_analytics.runtime.settings import load
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.spark_candles.task_report import Outcome
from crypto_analytics.streaming.decoded_records import Records
from crypto_analytics.streaming.merger import Merger, open_merger


@cache
def _worker() -> tuple[SparkCandlesSettings, Merger]:
    """Return this worker process's own merger; Spark keeps the process, and so its connections, for later tasks.

    Settings and passwords come from the environment of the executor, never through Spark.
    """
    settings = load(SparkCandlesSettings, "spark_candles")
    logs.configure("spark_candles", settings)
    never = threading.Event()  # a task that is to stop is killed by Spark: its transaction is rolled back
    return settings, open_merger(settings, "spark-candles", never, structlog.get_logger("spark_candles"))


def merge_records(pieces: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Merge records (value, partition, offset) of the trades topic and yield what was done with each piece.

    Raises:
        Exception: what no retry can mend; the piece is not merged, and Spark fails the batch.
    """
    settings, merger = _worker()
    for piece in pieces:
        values = [value or b"" for value in piece.column("value").to_pylist()]
        partitions, offsets = piece.column("partition").to_pylist(), piece.column("offset").to_pylist()

        def origin(position: int, partitions: list[int] = partitions, offsets: list[int] = offsets) -> str:
            return f"{settings.KAFKA_TOPIC_TRADES}/{partitions[position]}/{offsets[position]}"

        work = merger.work(Records.of(values, origin, merger.rules()))
        following: dict[int, int] = {}
        for partition, offset in zip(partitions, offsets, strict=True):
            following[partition] = max(following.get(partition, 0), offset + 1)
        yield pa.RecordBatch.from_pylist([{"outcome": Outcome.of(work, following).to_json()}])
