"""Which klines to ask for next. Pure; minutes are counted since the epoch.

What is in the table, less its newest ten minutes, and what the exchange was found not to have, is *known*; everything
else in the window is asked for, oldest first. Answers start at the first kline at or after the minute asked for and go
on without a bound in time, so a run over a window costs at most one request for each thousand minutes, however its
holes lie.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crypto_analytics.binance.rest import PAGE
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import MINUTE

DAY_MINUTES = 24 * 60
UNSETTLED_MINUTES = 10


class KlineRequest(NamedTuple):
    """A request: up to ``limit`` klines from the minute ``start`` on."""

    start: int
    limit: int


def window(now: int, days: int) -> IdRange:
    """Return the minutes of the last ``days`` days that are closed at ``now`` (microseconds)."""
    last = now // MINUTE - 1
    return IdRange(last + 1 - days * DAY_MINUTES, last)


def settled(held: IdRanges) -> IdRanges:
    """Return the minutes ``held`` less the newest ten: those are read again.

    A clock that is ahead of the exchange's takes a kline that is still open for closed. It is then among the newest
    that are held, however long ago that was, and the next run corrects it.
    """
    known = IdRanges(held)
    if held.last is not None:
        known.remove(held.last - UNSETTLED_MINUTES + 1, held.last)
    return known


def missing_count(known: IdRanges, wanted: IdRange) -> int:
    """Return how many minutes of ``wanted`` are not known."""
    return sum(last - first + 1 for first, last in known.missing(*wanted))


def next_request(known: IdRanges, wanted: IdRange) -> KlineRequest | None:
    """Return the next request, which ends at the last minute missing; None where nothing is missing."""
    runs = known.missing(*wanted)
    if not runs:
        return None
    return KlineRequest(runs[0].first, min(PAGE, runs[-1].last - runs[0].first + 1))


def answered_minutes(page: KlineRequest, klines: Sequence[Kline], wanted: IdRange) -> IdRange:
    """Return the minutes that the answer to ``page`` tells about: those it holds, and those it would hold.

    A full answer tells about the minutes up to its last kline. A short one tells that there is nothing more.
    """
    if len(klines) < page.limit:
        return IdRange(page.start, wanted.last)
    return IdRange(page.start, max(page.start, klines[-1].open_time // MINUTE))


def closed(klines: Iterable[Kline], wanted: IdRange, now: int) -> list[Kline]:
    """Return the klines of ``wanted`` that are closed at ``now`` (microseconds)."""
    return [
        kline for kline in klines if wanted.first <= kline.open_time // MINUTE <= wanted.last and kline.close_time < now
    ]
