"""When a play has arrived: all of it is merged, or what is missing will not come any more. Pure but for its clock."""

import time
from collections.abc import Callable

from ops.common.errors import Problem
from ops.local.trade_counts import Sight

QUIET_SECONDS = 12.0  # longer than the producer's first wait before it asks again for a hole that REST could not fill
STUCK_SECONDS = 120.0


class Arrival:
    """Judges the looks at a run, one after the other."""

    def __init__(
        self,
        quiet_seconds: float = QUIET_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet_seconds
        self._stuck = stuck_seconds
        self._clock = clock
        self._last: Sight | None = None
        self._changed_at = clock()

    def has_come(self, sight: Sight | None) -> bool:
        """Whether the run is at its end; None is a look that a restarting server did not allow.

        A play with a hole that REST cannot fill is at its end when nothing has moved for a while.

        Raises:
            Problem: nothing moves, and yet the play is not over or records wait to be merged.
        """
        now = self._clock()
        if sight != self._last:
            self._last, self._changed_at = sight, now
        still = now - self._changed_at
        if sight is not None and (sight.is_complete or (sight.is_idle and still > self._quiet)):
            return True
        if still > self._stuck:
            story = "Kafka or PostgreSQL does not answer" if sight is None else f"{sight.merged:,} trades are merged"
            raise Problem("the run does not move", f"{story}, and nothing changed for {still:.0f} s", "see the logs")
        return False
