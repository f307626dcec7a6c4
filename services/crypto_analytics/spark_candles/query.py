"""The streaming query: executors merge each micro-batch, then the driver commits its offsets."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from crypto_analytics.runtime import metrics
from crypto_analytics.spark_candles import source
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.spark_candles.reports import TaskReport, next_offsets
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.spark_candles.task import merge_records, prepare_worker
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.merger import update_metrics


def start(
    session: SparkSession,
    settings: SparkCandlesSettings,
    checkpoint: str,
    offsets: Mapping[int, int],
    *,
    group_offsets: GroupOffsets,
    backlog: Backlog,
) -> StreamingQuery:
    """Start the query at ``offsets``; ``checkpoint`` is an empty folder for Spark's own state.

    There is no watermark: late trades are merged like others. A batch that fails ends the query with an exception.
    """

    def merge(batch: DataFrame, batch_id: int) -> None:
        started = time.monotonic()
        rows = batch.mapInArrow(merge_records, "report string").collect()
        reports = [TaskReport.from_json(row.report) for row in rows]
        merged = next_offsets(reports)
        backlog.merged(merged)
        group_offsets.commit(merged)
        update_metrics([report.result() for report in reports], time.monotonic() - started)
        for report in reports:
            for reason, number in report.dead_letters.items():
                metrics.DEAD_LETTERS.labels(reason).inc(number)

    records = session.readStream.format("kafka").options(**source.options(settings, offsets)).load()
    return (
        records.select("value", "partition", "offset")
        .writeStream.queryName("candles")
        .option("checkpointLocation", checkpoint)
        .trigger(processingTime=f"{settings.SPARK_TRIGGER_SECONDS} seconds")
        .foreachBatch(merge)
        .start()
    )


def check_executors(session: SparkSession) -> Future[None]:
    """Run one task in a thread; the future is done once an executor has run it.

    A query without records starts no task, so its progress cannot show whether there are executors. Spark waits for
    executors without a limit.
    """

    def check() -> None:
        session.range(0, 1, numPartitions=1).mapInArrow(prepare_worker, "report string").collect()

    pool = ThreadPoolExecutor(1, "executor-check")
    checked = pool.submit(check)
    pool.shutdown(wait=False)
    return checked
