"""How the query is doing, from what Spark says of it: published as metrics. Pure but for that."""

import time
from collections.abc import Mapping
from typing import Any

from crypto_analytics.runtime import metrics


def publish(report: Mapping[str, Any]) -> None:
    """Publish a progress report of the query, as StreamingQueryProgress has it in JSON."""
    metrics.SPARK_INPUT_ROWS.set(report.get("inputRowsPerSecond", 0.0))
    metrics.SPARK_PROCESSED_ROWS.set(report.get("processedRowsPerSecond", 0.0))
    metrics.SPARK_LAST_PROGRESS.set(time.time())
