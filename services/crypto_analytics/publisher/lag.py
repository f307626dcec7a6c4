"""The publisher's lag: the age of the oldest change that Kafka has not acknowledged."""

from collections.abc import Callable

from crypto_analytics.core.minutes import SECOND
from crypto_analytics.runtime.clock import wall_clock


class PublishLag:
    """Times are seconds since the epoch. Read by the thread that serves the metrics."""

    def __init__(self, now: Callable[[], float] = lambda: wall_clock() / SECOND) -> None:
        self._now = now
        self._oldest: float | None = now()

    def set(self, oldest: float) -> None:
        """Set the time of the oldest change that is not published."""
        self._oldest = oldest

    def clear(self) -> None:
        """Record that all changes are published."""
        self._oldest = None

    def interrupted(self) -> None:
        """Record that changes from now on are not seen, because a server is unreachable."""
        if self._oldest is None:
            self._oldest = self._now()

    def seconds(self) -> float:
        """Return the age of the oldest change that is not published, or of the interruption; 0 without either."""
        oldest = self._oldest
        return 0.0 if oldest is None else max(0.0, self._now() - oldest)
