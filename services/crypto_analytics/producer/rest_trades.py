"""Fetch missing trades by their ids from the exchange's REST API, as individual or as aggregated trades.

Each fetch method yields pages of trade objects in the stream's format, with strings and time unit as received. It may
yield fewer ids than requested; the caller then tries the next method for the ids that are still missing. Endpoints:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints.
"""

from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple, Protocol

import msgspec

from crypto_analytics.binance.rest import PAGE, AggTrade, HistoricalTrade
from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.producer.absent_ids import AbsenceEvidence, absent_between_aggregates, absent_between_trades


class TradePage(NamedTuple):
    """The trade objects of one answer, and the ids that it shows to be absent, inside the requested gap or not."""

    values: list[bytes]
    absent: list[AbsenceEvidence]


FetchMethod = Callable[[str, IdRange], AsyncGenerator[TradePage]]


class TradesApi(Protocol):
    """The methods of :class:`crypto_analytics.binance.rest.BinanceRest` that are used here."""

    async def historical_trades(self, symbol: str, from_id: int, limit: int = PAGE) -> list[HistoricalTrade]:
        """Return up to ``limit`` trades from the id ``from_id`` on."""
        ...

    async def recent_trades(self, symbol: str, limit: int = PAGE) -> list[HistoricalTrade]:
        """Return the newest ``limit`` trades."""
        ...

    async def agg_trades(self, symbol: str, *, from_id: int | None = None, limit: int = PAGE) -> list[AggTrade]:
        """Return up to ``limit`` aggregates from the aggregate id ``from_id`` on; the newest ones for None."""
        ...


class _TradeObject(msgspec.Struct, tag_field="e", tag="trade"):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    M: bool


class _AggTradeObject(msgspec.Struct, tag_field="e", tag="aggTrade"):
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  # the exchange's name
    T: int
    m: bool
    M: bool


def trade_object(symbol: str, trade: HistoricalTrade) -> bytes:
    """Return ``trade`` in the stream's format; its event time is its trade time."""
    return msgspec.json.encode(
        _TradeObject(
            E=trade.time,
            s=symbol,
            t=trade.id,
            p=trade.price,
            q=trade.qty,
            T=trade.time,
            m=trade.isBuyerMaker,
            M=trade.isBestMatch,
        )
    )


def agg_trade_object(symbol: str, trade: AggTrade) -> bytes:
    """Return the aggregated ``trade`` in the stream's format; its event time is its trade time."""
    return msgspec.json.encode(
        _AggTradeObject(
            E=trade.T, s=symbol, a=trade.a, p=trade.p, q=trade.q, f=trade.f, l=trade.l, T=trade.T, m=trade.m, M=trade.M
        )
    )


class RestTrades:
    """Fetches missing trades with three methods, each for the ids that the one before did not return."""

    def __init__(self, rest: TradesApi, *, aggregated_above: int, aggregated_stream: bool = False) -> None:
        """Fetch aggregated trades first for gaps of more than ``aggregated_above`` ids.

        With an ``aggregated_stream``, aggregated trades come first for all gaps.
        """
        self._rest = rest
        self._above = aggregated_above
        self._aggregated_stream = aggregated_stream

    def methods(self, gap: IdRange) -> list[FetchMethod]:
        """Return the fetch methods for ``gap`` in the order in which to try them."""
        if self._aggregated_stream or gap.last - gap.first >= self._above:
            return [self.aggregated, self.individual, self.recent]
        return [self.individual, self.recent, self.aggregated]

    async def individual(self, symbol: str, gap: IdRange) -> AsyncGenerator[TradePage]:
        """Yield the individual trades of ``gap`` by id (``historicalTrades``).

        Pages reach from the id before the gap to the one after it and overlap by one id, so that each run of absent
        ids has both its neighbours on one page.

        Raises:
            ExchangeError: the exchange does not answer.
            Rejected: this host does not serve the endpoint.
        """
        cursor, sent = max(gap.first - 1, 0), gap.first - 1
        while True:
            limit = min(PAGE, gap.last - cursor + 2)
            rows = await self._rest.historical_trades(symbol, cursor, limit)
            ids = [row.id for row in rows]
            yield TradePage(
                [trade_object(symbol, row) for row in rows if sent < row.id <= gap.last],
                absent_between_trades("historicalTrades", cursor, ids),
            )
            newest = max(ids, default=-1)
            if len(rows) < limit or newest <= cursor or newest >= gap.last:
                return
            cursor = sent = newest

    async def recent(self, symbol: str, gap: IdRange) -> AsyncGenerator[TradePage]:
        """Yield the trades of ``gap`` that are among the newest 1000, for hosts that do not serve older ones.

        Raises:
            ExchangeError: the exchange does not answer.
            Rejected: this host does not serve the endpoint.
        """
        rows = await self._rest.recent_trades(symbol)
        yield TradePage(
            [trade_object(symbol, row) for row in rows if gap.first <= row.id <= gap.last],
            absent_between_trades("trades", None, [row.id for row in rows]),
        )

    async def aggregated(self, symbol: str, gap: IdRange) -> AsyncGenerator[TradePage]:
        """Yield the aggregated trades that lie wholly inside ``gap``; some ids at its edges may stay missing.

        Pages overlap by one aggregate and begin before the gap, like those of individual trades.

        Raises:
            ExchangeError: the exchange does not answer.
            Rejected: this host does not serve the endpoint.
        """
        found = await self._find_aggregate(symbol, gap.first)
        if found is None:
            return
        cursor, sent = max(found - 1, 0), -1
        while True:
            rows = await self._rest.agg_trades(symbol, from_id=cursor)
            yield TradePage(
                [
                    agg_trade_object(symbol, row)
                    for row in rows
                    if row.a > sent and gap.first <= row.f and row.l <= gap.last
                ],
                absent_between_aggregates(cursor, rows),
            )
            if not rows or rows[-1].a <= cursor or rows[-1].l >= gap.last:
                return
            cursor = sent = rows[-1].a

    async def _find_aggregate(self, symbol: str, trade_id: int) -> int | None:
        """Return the id of the first aggregate that ends at ``trade_id`` or later, or an id up to a page lower.

        Aggregate ids and trade ids grow together, so bisection finds the id without knowing the trade's time. Each
        aggregate has at least one trade, so it is at most as many aggregates before the newest one as its trade is
        before the newest trade. Only void aggregates can break that bound; then the search starts from the first
        aggregate.
        """
        newest = await self._rest.agg_trades(symbol, limit=1)
        if not newest or newest[-1].l < trade_id:
            return None
        high = newest[-1].a
        low = max(0, high - (newest[-1].l - trade_id))
        if low and ((start := await self._aggregate_from(symbol, low)) is None or start.f > trade_id):
            low, high = 0, high if start is None else low
        while high - low >= PAGE:
            middle = (low + high) // 2
            found = await self._aggregate_from(symbol, middle)
            if found is None or found.l >= trade_id:
                high = middle
            else:
                low = found.a + 1
        return low

    async def _aggregate_from(self, symbol: str, aggregate_id: int) -> AggTrade | None:
        """Return the first aggregate from ``aggregate_id`` on that is not void."""
        rows = await self._rest.agg_trades(symbol, from_id=aggregate_id, limit=10)
        return rows[0] if rows else None
