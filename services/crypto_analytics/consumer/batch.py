"""The batch being collected: pure bookkeeping of messages and their age."""

from confluent_kafka import Message


class Collector:
    """Collects messages until the batch is due: its oldest one waited ``seconds``, or it holds ``trades``.

    A due batch that cannot be merged yet, because the one before it still is, goes on growing up to ``largest``:
    under a backlog batches become as large as keeps everybody busy, and with few trades they stay small and quick.
    """

    def __init__(self, seconds: float, trades: int, largest: int) -> None:
        self._seconds = seconds
        self._trades = trades
        self._largest = max(largest, trades)
        self._since: float | None = None
        self._messages: list[Message] = []

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, messages: list[Message], now: float) -> None:
        """Add messages that arrived at ``now`` (seconds, any monotonic clock)."""
        if self._since is None and messages:
            self._since = now
        self._messages += messages

    def is_due(self, now: float) -> bool:
        """Whether the batch should be merged now."""
        if self._since is None:
            return False
        return len(self._messages) >= self._trades or now - self._since >= self._seconds

    def wait(self, now: float, longest: float) -> float:
        """Return the seconds that may pass before the batch is due by age, ``longest`` at most."""
        if self._since is None:
            return longest
        return min(longest, max(0.0, self._since + self._seconds - now))

    def room(self) -> int:
        """Return how many more messages the batch may take."""
        return max(0, self._largest - len(self._messages))

    def take(self) -> list[Message]:
        """Return the messages and start an empty batch."""
        messages, self._messages, self._since = self._messages, [], None
        return messages
