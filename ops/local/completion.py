"""Decide when a play is complete: all trades are merged, or nothing more will arrive. Pure but for its clock."""

import time
from collections.abc import Callable

from ops.common.errors import Problem
from ops.local.trade_counts import TradeCounts

QUIET_SECONDS = 12.0  # longer than the producer's first pause before it retries a gap that REST could not fill
STUCK_SECONDS = 120.0


class CompletionCheck:
    """Compares successive counts of a run."""

    def __init__(
        self,
        quiet_seconds: float = QUIET_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet_seconds
        self._stuck = stuck_seconds
        self._clock = clock
        self._last: TradeCounts | None = None
        self._changed_at = clock()

    def is_complete(self, counts: TradeCounts | None) -> bool:
        """Return whether the play is complete; ``counts`` is None where a restarting server gave none.

        A play with a gap that REST cannot fill is complete when no count has changed for ``quiet_seconds``.

        Raises:
            Problem: no count has changed for ``stuck_seconds``, and yet the play is not complete.
        """
        now = self._clock()
        if counts != self._last:
            self._last, self._changed_at = counts, now
        unchanged = now - self._changed_at
        if counts is not None and (counts.is_complete or (counts.is_idle and unchanged > self._quiet)):
            return True
        if unchanged > self._stuck:
            state = "Kafka or PostgreSQL does not answer" if counts is None else f"{counts.merged:,} trades are merged"
            raise Problem("the run is stuck", f"{state}, and nothing changed for {unchanged:.0f} s", "see the logs")
        return False
