"""The batch being collected: pure bookkeeping of what was read and its age."""

from typing import Generic, TypeVar

Piece = TypeVar("Piece")


class Collector(Generic[Piece]):
    """Collects pieces until the batch is due: its oldest record waited ``seconds``, or it holds ``trades`` records.

    A due batch that cannot be merged yet, because the one before it still is, goes on growing up to ``largest``:
    under a backlog batches become as large as keeps everybody busy, and with few trades they stay small and quick.
    """

    def __init__(self, seconds: float, trades: int, largest: int) -> None:
        self._seconds = seconds
        self._trades = trades
        self._largest = max(largest, trades)
        self._since: float | None = None
        self._pieces: list[Piece] = []
        self._records = 0

    def __len__(self) -> int:
        return self._records

    def add(self, piece: Piece, records: int, now: float) -> None:
        """Add a piece of so many ``records``, at least one, that arrived at ``now`` (seconds, any monotonic clock)."""
        if self._since is None:
            self._since = now
        self._pieces.append(piece)
        self._records += records

    def is_due(self, now: float) -> bool:
        """Whether the batch should be merged now."""
        if self._since is None:
            return False
        return self._records >= self._trades or now - self._since >= self._seconds

    def wait(self, now: float, longest: float) -> float:
        """Return the seconds that may pass before the batch is due, ``longest`` at most."""
        if self._since is None:
            return longest
        return 0.0 if self.is_due(now) else min(longest, self._since + self._seconds - now)

    def room(self) -> int:
        """Return how many more records the batch may take."""
        return max(0, self._largest - self._records)

    def take(self) -> list[Piece]:
        """Return the pieces and start an empty batch."""
        pieces, self._pieces, self._records, self._since = self._pieces, [], 0, None
        return pieces
