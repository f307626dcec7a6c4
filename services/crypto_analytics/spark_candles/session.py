"""The Spark session: the configuration for all deployments, and for a local run."""

import os
import sys

from pyspark.sql import SparkSession

from crypto_analytics.spark_candles.settings import SparkCandlesSettings

_RECORDS_PER_TRANSACTION = 20_000  # of a task; the counterpart of BATCH_MAX_TRADES

# Small and constant memory: one garbage collector thread, only the C1 compiler, and little history in Spark's pages.
_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError"
_COMMON = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(_RECORDS_PER_TRANSACTION),
    "spark.sql.streaming.stopTimeout": "2s",
    "spark.sql.streaming.minBatchesToRetain": "5",
    "spark.sql.streaming.numRecentProgressUpdates": "5",
    "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jaas",
    "spark.sql.redaction.options.regex": "(?i)secret|password|token|jaas|url",
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    "spark.ui.retainedTasks": "1000",
    "spark.sql.ui.retainedExecutions": "20",
    "spark.ui.showConsoleProgress": "false",
    "spark.ui.killEnabled": "false",  # the pages have no login, so they are read-only
}


def is_submitted() -> bool:
    """Return whether spark-submit started this process; it has configured master and memory then."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def configuration(settings: SparkCandlesSettings, *, submitted: bool) -> dict[str, str]:
    """Return Spark's configuration for ``settings``, without secrets."""
    common = _COMMON | {
        "spark.log.level": "WARN",
        "spark.log.structuredLogging.enabled": str(settings.LOG_FORMAT == "json").lower(),
        "spark.ui.port": str(settings.SPARK_UI_PORT),
    }
    if submitted:
        return common
    local = {
        "spark.master": settings.SPARK_MASTER,
        "spark.driver.memory": settings.SPARK_DRIVER_MEMORY,
        "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
        "spark.executor.extraJavaOptions": _JAVA_OPTIONS,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    if settings.SPARK_JARS_DIR is not None:
        jars = f"{settings.SPARK_JARS_DIR}/*"
        local |= {"spark.driver.extraClassPath": jars, "spark.executor.extraClassPath": jars}
    return common | local


def open_session(settings: SparkCandlesSettings) -> SparkSession:
    """Start Spark, or return the session that spark-submit started."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # also for local executors
    builder = SparkSession.builder.appName("spark-candles")
    for name, value in configuration(settings, submitted=is_submitted()).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
