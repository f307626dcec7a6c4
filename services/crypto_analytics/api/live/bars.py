"""Candles of any window from minutes in memory, exactly: numbers are integers, scaled by 10^8 or 10^16.

A history holds whole hours (and days) of one symbol, and the minutes of a few hours. A changed minute replaces its
minute, or removes its hour, which is then read again; so a window of a month is never scanned for a change.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.store.candle_changes import CandleChange

HOUR = 60 * MINUTE
DAY = 24 * HOUR
_MOST_HOURS_OF_MINUTES = 4
_MOST_HOURS = 1_600  # two months


class Bar(NamedTuple):
    """The sum of the candles of a window. Prices and volumes are scaled by 10^8, quote volumes by 10^16.

    ``is_complete`` is whether each of its candles is; ``missing_id_count`` counts the ids that are missing within them;
    ``revision`` is the newest of theirs. ``is_official`` is whether one of them is an official kline, which has no ids.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trade_count: int
    taker_buy_volume: int
    taker_buy_quote_volume: int
    first_trade_id: int | None
    last_trade_id: int | None
    is_complete: bool
    verified_absent_count: int
    missing_id_count: int
    revision: int
    is_official: bool = False


def scaled(text: str) -> int:
    """Return a decimal as PostgreSQL prints it, with all of its decimals, as a scaled integer."""
    return int(text.replace(".", "", 1))


def bar_of(change: CandleChange) -> Bar:
    """Return a changed candle as a bar."""
    return Bar(
        open=scaled(change.open),
        high=scaled(change.high),
        low=scaled(change.low),
        close=scaled(change.close),
        volume=scaled(change.volume),
        quote_volume=scaled(change.quote_volume),
        trade_count=change.trade_count,
        taker_buy_volume=scaled(change.taker_buy_volume),
        taker_buy_quote_volume=scaled(change.taker_buy_quote_volume),
        first_trade_id=change.first_trade_id,
        last_trade_id=change.last_trade_id,
        is_complete=change.is_complete,
        verified_absent_count=change.verified_absent_count,
        missing_id_count=change.last_trade_id
        - change.first_trade_id
        + 1
        - change.trade_count
        - change.verified_absent_count,
        revision=change.revision,
    )


def combined(bars: Iterable[Bar | None]) -> Bar | None:
    """Return the sum of ``bars``, which are in the order of time; None if there is none."""
    some = [bar for bar in bars if bar is not None]
    if len(some) < 2:
        return some[0] if some else None
    return Bar(
        open=some[0].open,
        high=max(bar.high for bar in some),
        low=min(bar.low for bar in some),
        close=some[-1].close,
        volume=sum(bar.volume for bar in some),
        quote_volume=sum(bar.quote_volume for bar in some),
        trade_count=sum(bar.trade_count for bar in some),
        taker_buy_volume=sum(bar.taker_buy_volume for bar in some),
        taker_buy_quote_volume=sum(bar.taker_buy_quote_volume for bar in some),
        first_trade_id=min((bar.first_trade_id for bar in some if bar.first_trade_id is not None), default=None),
        last_trade_id=max((bar.last_trade_id for bar in some if bar.last_trade_id is not None), default=None),
        is_complete=all(bar.is_complete for bar in some),
        verified_absent_count=sum(bar.verified_absent_count for bar in some),
        missing_id_count=sum(bar.missing_id_count for bar in some),
        revision=max(bar.revision for bar in some),
        is_official=any(bar.is_official for bar in some),
    )


class Span(NamedTuple):
    """A time range (microseconds, half open)."""

    start: int
    end: int


class Missing(NamedTuple):
    """What a history has to load: hours whose minutes it needs, and ranges of which it needs each hour as one bar."""

    minutes: list[int]
    hours: list[Span]


class History:
    """The bars of one symbol, as far as they were needed.

    Every change of a candle has to be applied to it, and it has to forget each hour with changed official klines.
    """

    def __init__(self) -> None:
        self._minutes: dict[int, dict[int, Bar]] = {}
        self._hours: dict[int, Bar | None] = {}
        self._days: dict[int, Bar | None] = {}

    def apply(self, open_time: int, bar: Bar) -> None:
        """Take over the changed candle of a minute."""
        hour = open_time - open_time % HOUR
        self._hours.pop(hour, None)
        self._days.pop(open_time - open_time % DAY, None)
        minutes = self._minutes.get(hour)
        if minutes is None:
            return
        known = minutes.get(open_time)
        if known is not None and known.is_official:
            self.forget(hour)  # it is read again, and the official kline stays
        elif known is None or known.revision < bar.revision:  # what was loaded may be newer than the change
            minutes[open_time] = bar

    def forget(self, hour: int) -> None:
        """Remove what is known of an hour, to be loaded again."""
        self._minutes.pop(hour, None)
        self._hours.pop(hour, None)
        self._days.pop(hour - hour % DAY, None)

    def missing(self, start: int, end: int) -> Missing:
        """Return what has to be loaded before :meth:`bar` can return the bar of a window."""
        missing = Missing([], [])
        for part in _parts(start, end):
            hour = part.start - part.start % HOUR
            if part.end - part.start < HOUR:
                if hour not in self._minutes:
                    missing.minutes.append(hour)
            elif not (part.start % DAY == 0 and part.start in self._days and part.end - part.start == DAY):
                for span in self._missing_hours(part):
                    joins = missing.hours and missing.hours[-1].end == span.start
                    start_of_span = missing.hours.pop().start if joins else span.start
                    missing.hours.append(Span(start_of_span, span.end))
        return missing

    def _missing_hours(self, part: Span) -> Iterator[Span]:
        begin = None
        for hour in range(part.start, part.end + 1, HOUR):
            is_missing = hour < part.end and hour not in self._hours and hour not in self._minutes
            if is_missing and begin is None:
                begin = hour
            elif not is_missing and begin is not None:
                yield Span(begin, hour)
                begin = None

    def add_minutes(self, hour: int, minutes: dict[int, Bar]) -> None:
        """Add all candles of an hour by their open times."""
        self._minutes[hour] = minutes
        self._hours.pop(hour, None)
        while len(self._minutes) > _MOST_HOURS_OF_MINUTES:
            self._minutes.pop(next(iter(self._minutes)))

    def add_hours(self, span: Span, hours: dict[int, Bar]) -> None:
        """Add the bars of all hours of ``span``; an hour that ``hours`` lacks has no candle."""
        for hour in range(span.start, span.end, HOUR):
            self._hours[hour] = hours.get(hour)
        while len(self._hours) > _MOST_HOURS:
            self._hours.pop(next(iter(self._hours)))

    def bar(self, start: int, end: int) -> Bar | None:
        """Return the bar of a window of which nothing is missing."""
        return combined(self._bar_of_part(part) for part in _parts(start, end))

    def _bar_of_part(self, part: Span) -> Bar | None:
        length = part.end - part.start
        if length < HOUR:
            minutes = self._minutes[part.start - part.start % HOUR]
            return combined(minutes.get(minute) for minute in range(part.start, part.end, MINUTE))
        if length == HOUR:
            return self._hour(part.start)
        if part.start not in self._days:
            self._days[part.start] = combined(self._hour(hour) for hour in range(part.start, part.end, HOUR))
            while len(self._days) > _MOST_HOURS:
                self._days.pop(next(iter(self._days)))
        return self._days[part.start]

    def _hour(self, hour: int) -> Bar | None:
        if hour not in self._hours:
            minutes = self._minutes[hour]
            self._hours[hour] = combined(minutes[minute] for minute in sorted(minutes))
        return self._hours[hour]


def _parts(start: int, end: int) -> Iterator[Span]:
    """Divide a window into whole UTC days, whole hours and parts of hours."""
    while start < end:
        if start % DAY == 0 and start + DAY <= end:
            step = DAY
        elif start % HOUR == 0 and start + HOUR <= end:
            step = HOUR
        else:
            step = min(end, start - start % HOUR + HOUR) - start
        yield Span(start, start + step)
        start += step
