"""Now, in microseconds. A replay's clock stands at the end of the recording; everything else has the real one."""

import time
from collections.abc import Callable
from datetime import datetime

from crypto_analytics.core.minutes import from_datetime

Clock = Callable[[], int]


def wall_clock() -> int:
    """Return the microseconds since the epoch."""
    return time.time_ns() // 1000


def clock_for(as_of: datetime | None) -> Clock:
    """Return the clock that AS_OF asks for."""
    if as_of is None:
        return wall_clock
    fixed = from_datetime(as_of)
    return lambda: fixed
