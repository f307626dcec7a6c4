"""Reports: of a task to the driver about a part of a micro-batch, and of Spark about the query. No trade is in them."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

import msgspec

from crypto_analytics.runtime import metrics
from crypto_analytics.store.merge import Merged
from crypto_analytics.streaming.merger import BatchResult


class TaskReport(msgspec.Struct):
    """The counts of a :class:`BatchResult`.

    Attributes:
        oldest: the time (us) of each symbol's oldest trade.
        dead_letters: the number of dead letters by reason.
        next_offsets: by partition, the offset after the last merged record.
    """

    records: int
    trades: int
    archived: int
    duplicates: int
    oldest: list[int]
    dead_letters: dict[str, int]
    next_offsets: dict[int, int]

    @classmethod
    def of(cls, result: BatchResult, next_offsets: dict[int, int]) -> Self:
        """Return the report of ``result``."""
        merged = result.merged
        return cls(
            records=result.records,
            trades=merged.trades,
            archived=merged.archived,
            duplicates=merged.duplicates,
            oldest=[int(time) for time in merged.oldest],
            dead_letters=dict(result.dead_letters),
            next_offsets=next_offsets,
        )

    def result(self) -> BatchResult:
        """Return the reported result, as the metrics need it."""
        merged = Merged(self.trades, self.archived, self.duplicates, rejected=[], oldest=self.oldest)
        return BatchResult(self.records, merged, Counter(self.dead_letters))

    def to_json(self) -> str:
        """Return the report as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the report that ``text`` encodes."""
        return msgspec.json.decode(text, type=cls)


def next_offsets(reports: Iterable[TaskReport]) -> dict[int, int]:
    """Return by partition the offset after the last record of all ``reports``."""
    combined: dict[int, int] = {}
    for report in reports:
        for partition, offset in report.next_offsets.items():
            combined[partition] = max(combined.get(partition, 0), offset)
    return combined


def publish_progress(report: Mapping[str, Any]) -> None:
    """Set the metrics from a progress report of the query, the JSON form of StreamingQueryProgress."""
    metrics.SPARK_INPUT_ROWS.set(report.get("inputRowsPerSecond", 0.0))
    metrics.SPARK_PROCESSED_ROWS.set(report.get("processedRowsPerSecond", 0.0))
    metrics.SPARK_LAST_PROGRESS.set(time.time())
