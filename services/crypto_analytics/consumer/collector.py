"""Collect chunks of records until a batch is due. Pure."""

from typing import Generic, TypeVar

Chunk = TypeVar("Chunk")


class BatchCollector(Generic[Chunk]):
    """Collects chunks until the batch is due: its oldest record is ``seconds`` old, or it has ``trades`` records.

    A due batch grows up to ``largest`` records while the batch before it is merged. So batches are large while there is
    a backlog, and small with a low latency otherwise.
    """

    def __init__(self, seconds: float, trades: int, largest: int) -> None:
        self._seconds = seconds
        self._trades = trades
        self._largest = max(largest, trades)
        self._since: float | None = None
        self._chunks: list[Chunk] = []
        self._records = 0

    def __len__(self) -> int:
        return self._records

    def add(self, chunk: Chunk, records: int, now: float) -> None:
        """Add a chunk with ``records`` (at least one) that arrived at ``now`` (seconds of a monotonic clock)."""
        if self._since is None:
            self._since = now
        self._chunks.append(chunk)
        self._records += records

    def is_due(self, now: float) -> bool:
        """Return whether the batch should be merged now."""
        if self._since is None:
            return False
        return self._records >= self._trades or now - self._since >= self._seconds

    def wait(self, now: float, longest: float) -> float:
        """Return the seconds until the batch is due, at most ``longest``."""
        if self._since is None:
            return longest
        return 0.0 if self.is_due(now) else min(longest, self._since + self._seconds - now)

    def room(self) -> int:
        """Return how many more records fit into the batch."""
        return max(0, self._largest - self._records)

    def take(self) -> list[Chunk]:
        """Return the chunks of the batch and start an empty one."""
        chunks, self._chunks, self._records, self._since = self._chunks, [], 0, None
        return chunks
