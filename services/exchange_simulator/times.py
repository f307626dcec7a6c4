"""Times are integers: microseconds since 1970-01-01 UTC. A minute is named by its open time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MINUTE = 60_000_000
SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_MILLISECOND = 10**13  # as milliseconds the year 2286, as microseconds April 1970: no trade is near either

Clock = Callable[[], int]


def wall_clock() -> int:
    """Return the current time in microseconds."""
    return time.time_ns() // 1000


def to_microseconds(timestamp: int) -> int:
    """Return the exchange's ``timestamp`` (milliseconds or microseconds, recognised by its size) in microseconds."""
    return timestamp if timestamp > _LARGEST_MILLISECOND else timestamp * 1000


def minute_of(microseconds: int) -> int:
    """Return the open time of the minute that holds ``microseconds``."""
    return microseconds - microseconds % MINUTE


def to_datetime(microseconds: int) -> datetime:
    """Return ``microseconds`` as an aware UTC datetime, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_datetime(moment: datetime) -> int:
    """Return an aware ``moment`` in microseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
