"""How the query is doing, from what Spark says of it: published as metrics. Pure but for that."""

import json
import time
from collections.abc import Mapping
from typing import Any

from crypto_analytics.runtime import metrics


def lag(source: Mapping[str, Any]) -> int:
    """Return the records in the topic after those of the last batch, of a source's part of a progress report."""
    end, latest = (_offsets(source.get(name)) for name in ("endOffset", "latestOffset"))
    return sum(max(0, offset - end.get(key, 0)) for key, offset in latest.items())


def _offsets(value: object) -> dict[tuple[str, str], int]:
    """Return offsets by topic and partition; Spark gives them as an object, or as its text."""
    topics = json.loads(value) if isinstance(value, str) else value or {}
    assert isinstance(topics, dict)
    return {(topic, partition): offset for topic, parts in topics.items() for partition, offset in parts.items()}


def publish(report: Mapping[str, Any]) -> None:
    """Publish a progress report of the query, as StreamingQueryProgress has it in JSON."""
    metrics.INPUT_ROWS.set(report.get("inputRowsPerSecond", 0.0))
    metrics.PROCESSED_ROWS.set(report.get("processedRowsPerSecond", 0.0))
    metrics.LAG_TRADES.set(sum(map(lag, report["sources"])))
    metrics.LAST_PROGRESS.set(time.time())
