"""The current time in microseconds. In a replay the clock stands still at the time of AS_OF."""

import time
from collections.abc import Callable
from datetime import datetime

from crypto_analytics.core.minutes import from_datetime

Clock = Callable[[], int]


def wall_clock() -> int:
    """Return the current time in microseconds since the epoch."""
    return time.time_ns() // 1000


def clock_for(as_of: datetime | None) -> Clock:
    """Return a clock that stands still at ``as_of`` (the setting AS_OF), or the wall clock for None."""
    if as_of is None:
        return wall_clock
    fixed_time = from_datetime(as_of)
    return lambda: fixed_time
