"""The streaming query: each micro-batch is merged by the executors, then its offsets are committed."""

import time
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from crypto_analytics.runtime import metrics
from crypto_analytics.spark_candles import source
from crypto_analytics.spark_candles.group_offsets import Position
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.spark_candles.task import merge_records
from crypto_analytics.spark_candles.task_report import Outcome, following
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.merger import count


def start(
    session: SparkSession,
    settings: SparkCandlesSettings,
    checkpoint: str,
    offsets: Mapping[int, int],
    *,
    position: Position,
    backlog: Backlog,
) -> StreamingQuery:
    """Start the query at ``offsets``, with the new and empty folder ``checkpoint`` for Spark's own books.

    No watermark: a late trade is merged like any other. A batch that cannot be merged ends the query with an exception.
    """

    def merge(batch: DataFrame, batch_id: int) -> None:
        started = time.monotonic()
        rows = batch.mapInArrow(merge_records, "outcome string").collect()
        outcomes = [Outcome.from_json(row.outcome) for row in rows]
        offsets_after = following(outcomes)
        backlog.merged(offsets_after)
        position.commit(offsets_after)
        count([outcome.work() for outcome in outcomes], time.monotonic() - started)
        for outcome in outcomes:
            for reason, dead in outcome.dead_letters.items():
                metrics.DEAD_LETTERS.labels(reason).inc(dead)

    records = session.readStream.format("kafka").options(**source.options(settings, offsets)).load()
    return (
        records.select("value", "partition", "offset")
        .writeStream.queryName("candles")
        .option("checkpointLocation", checkpoint)
        .trigger(processingTime=f"{settings.SPARK_TRIGGER_SECONDS} seconds")
        .foreachBatch(merge)
        .start()
    )
