"""The exchange's intervals of klines, and where they begin. Times are microseconds since the epoch.

Intervals of up to a day divide the day. Three days are counted from the epoch, weeks begin on Monday, and months are
those of the calendar; all of them in UTC, or at the offset from UTC that a request gives.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from crypto_analytics.core.minutes import MINUTE, from_datetime, to_datetime

DAY = 24 * 60 * MINUTE
_MONDAY = 4 * DAY  # 1970-01-05
LATEST = from_datetime(datetime(9999, 1, 1, tzinfo=UTC))
"""A time after every candle; requests with later times mean this one."""


class Interval(NamedTuple):
    """An interval: its length (microseconds; None for a month) and the start of one of its klines in UTC."""

    name: str
    length: int | None
    origin: int = 0

    @property
    def most_minutes(self) -> int:
        """Return the number of minutes in the longest kline of the interval."""
        return (31 * DAY if self.length is None else self.length) // MINUTE


INTERVALS = {
    **{f"{count}m": Interval(f"{count}m", count * MINUTE) for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": Interval(f"{count}h", count * 60 * MINUTE) for count in (1, 2, 4, 6, 8, 12)},
    **{f"{count}d": Interval(f"{count}d", count * DAY) for count in (1, 3)},
    "1w": Interval("1w", 7 * DAY, _MONDAY),
    "1M": Interval("1M", None),
}


@dataclass(frozen=True)
class Calendar:
    """An interval at an offset from UTC (microseconds)."""

    interval: Interval
    offset: int = 0

    def start_of(self, time: int) -> int:
        """Return the open time of the kline that contains ``time``."""
        local = time + self.offset
        length, origin = self.interval.length, self.interval.origin
        if length is not None:
            return local - (local - origin) % length - self.offset
        return from_datetime(_month_of(local)) - self.offset

    def end_of(self, start: int) -> int:
        """Return the open time of the kline after the one that opens at ``start``."""
        if self.interval.length is not None:
            return start + self.interval.length
        # Every month has 28 days, and none has 32.
        return from_datetime(_month_of(from_datetime(_month_of(start + self.offset)) + 32 * DAY)) - self.offset

    def first_from(self, time: int) -> int:
        """Return the open time of the first kline that opens at ``time`` or later."""
        start = self.start_of(time)
        return start if start == time else self.end_of(start)


class Window(NamedTuple):
    """The time from ``start`` to ``until`` (excluded), and from which end a limited number of candles is counted."""

    start: int
    until: int
    newest_first: bool


def window(calendar: Calendar, start: int | None, end: int | None) -> Window:
    """Return the window of whole candles that open from ``start`` to ``end`` (included), as the exchange counts them.

    Without ``start`` the newest candles are returned, else the first ones.
    """
    first = 0 if start is None else calendar.first_from(min(start, LATEST))
    until = LATEST if end is None else calendar.end_of(calendar.start_of(min(end, LATEST - 31 * DAY)))
    return Window(first, until, newest_first=start is None)


def _month_of(local: int) -> datetime:
    return to_datetime(local).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def parse_offset(text: str) -> timedelta | None:
    """Return the offset of the exchange's parameter ``timeZone`` ("8", "-1:00", "05:45"); None if it is not valid."""
    sign = -1 if text.startswith("-") else 1
    hours, colon, minutes = text.removeprefix("-" if sign < 0 else "+").partition(":")
    is_number = hours.isascii() and hours.isdigit() and len(hours) <= 2
    if not is_number or (colon and not (len(minutes) == 2 and minutes.isascii() and minutes.isdigit())):
        return None
    if int(minutes or 0) > 59:
        return None
    offset = sign * timedelta(hours=int(hours), minutes=int(minutes or 0))
    return offset if timedelta(hours=-12) <= offset <= timedelta(hours=14) else None
