"""Convert between timestamps (integer microseconds since 1970-01-01 UTC), datetimes and minutes.

A minute is half open: [open_time, open_time + 60 s).
"""

from datetime import UTC, datetime, timedelta

MINUTE = 60_000_000
SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Archives since 2025 and streams with timeUnit=MICROSECOND have microseconds, all others milliseconds.
# 10^13 ms is in the year 2286 and 10^13 us in April 1970: no trade of the exchange is near either.
LARGEST_MILLISECOND = 10**13


def to_microseconds(timestamp: int) -> int:
    """Return the exchange's ``timestamp`` (milliseconds or microseconds, distinguished by size) in microseconds."""
    return timestamp if timestamp > LARGEST_MILLISECOND else timestamp * 1000


def minute_of(microseconds: int) -> int:
    """Return the open time (microseconds) of the minute that contains the time ``microseconds``."""
    return microseconds - microseconds % MINUTE


def to_datetime(microseconds: int) -> datetime:
    """Return the time ``microseconds`` as an aware datetime in UTC, without rounding."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_datetime(moment: datetime) -> int:
    """Return the aware datetime ``moment`` in microseconds since the epoch, without rounding."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
