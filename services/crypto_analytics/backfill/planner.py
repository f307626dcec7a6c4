"""Plan the requests for missing klines. Pure; minutes are counted since the epoch.

The *known* minutes are those in the table, except its newest ten, and those without a kline at the exchange. All other
minutes of the window are requested, oldest first. An answer starts at the first kline at or after the requested minute
and has up to 1000 klines without a bound in time, so a window costs at most one request per thousand minutes, wherever
its gaps are. Endpoint: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
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
    """A request for up to ``limit`` klines from the minute ``start`` on."""

    start: int
    limit: int


def window(now: int, days: int) -> IdRange:
    """Return the minutes of the last ``days`` days that are closed at ``now`` (microseconds)."""
    last = now // MINUTE - 1
    return IdRange(last + 1 - days * DAY_MINUTES, last)


def settled(held: IdRanges) -> IdRanges:
    """Return the minutes ``held`` without the newest ten, which are requested again.

    If this machine's clock is ahead of the exchange's, a kline that is still open passes for closed. It is then among
    the newest in the table, however old that is, and the next run corrects it.
    """
    known = IdRanges(held)
    if held.last is not None:
        known.remove(held.last - UNSETTLED_MINUTES + 1, held.last)
    return known


def missing_count(known: IdRanges, wanted: IdRange) -> int:
    """Return how many minutes of ``wanted`` are not known."""
    return sum(last - first + 1 for first, last in known.missing(*wanted))


def next_request(known: IdRanges, wanted: IdRange) -> KlineRequest | None:
    """Return the next request, which ends at the last missing minute; None if no minute is missing."""
    runs = known.missing(*wanted)
    if not runs:
        return None
    return KlineRequest(runs[0].first, min(PAGE, runs[-1].last - runs[0].first + 1))


def answered_minutes(request: KlineRequest, klines: Sequence[Kline], wanted: IdRange) -> IdRange:
    """Return the minutes that the answer to ``request`` settles: with a kline in it, or without one at the exchange.

    A full answer settles the minutes up to its last kline, a shorter one all minutes of ``wanted`` from its start on.
    """
    if len(klines) < request.limit:
        return IdRange(request.start, wanted.last)
    return IdRange(request.start, max(request.start, klines[-1].open_time // MINUTE))


def closed(klines: Iterable[Kline], wanted: IdRange, now: int) -> list[Kline]:
    """Return the klines of ``wanted`` that are closed at ``now`` (microseconds)."""
    return [
        kline for kline in klines if wanted.first <= kline.open_time // MINUTE <= wanted.last and kline.close_time < now
    ]
