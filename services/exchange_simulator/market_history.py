"""Query the past of a market for REST: up to the simulator's clock, without hidden trades.

``until`` is that clock in microseconds: no method returns a later trade.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import TypeVar

from exchange_simulator.hidden_trades import HiddenTrades
from exchange_simulator.klines import Kline, combine, flat_kline, kline_of
from exchange_simulator.market import Market
from exchange_simulator.times import MINUTE, minute_of
from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade

_id = attrgetter("id")
Row = TypeVar("Row", bound=AnyTrade)
OfMinute = Callable[[str, int], Sequence[Row]]


class MarketHistory:
    """Queries over ``market``; ``official`` klines (by symbol and open time) replace computed ones."""

    def __init__(
        self, market: Market, hidden: HiddenTrades, official: Mapping[str, Mapping[int, Kline]] | None = None
    ) -> None:
        self.market = market
        self._hidden = hidden
        self._official = official or {}
        self._whole_minute = lru_cache(20_000)(self._kline_of_minute)

    def trades_from(self, symbol: str, first_id: int, limit: int, until: int) -> list[Trade]:
        """Return up to ``limit`` trades with ids from ``first_id``."""
        if self.market.stream_type == "aggTrade":
            return []
        first = self.market.minute_of_trade(symbol, first_id)
        rows = self._ascending(self.market.trades, symbol, first, first_id, until)
        return _first(limit, (row for row in rows if isinstance(row, Trade)))

    def latest_trades(self, symbol: str, limit: int, until: int) -> list[Trade]:
        """Return the last ``limit`` trades, in order of their ids."""
        rows = self._descending(self.market.trades, symbol, until)
        return _first(limit, (row for row in rows if isinstance(row, Trade)))[::-1]

    def aggregates_from(self, symbol: str, first_id: int, limit: int, until: int) -> list[AggregateTrade]:
        """Return up to ``limit`` aggregated trades with aggregate ids from ``first_id``."""
        first = self.market.minute_of_aggregate(symbol, first_id)
        return _first(limit, self._ascending(self.market.aggregates, symbol, first, first_id, until))

    def aggregates_since(self, symbol: str, start: int, limit: int, until: int) -> list[AggregateTrade]:
        """Return up to ``limit`` aggregated trades from the time ``start``."""
        rows = self._ascending(self.market.aggregates, symbol, minute_of(start), 0, until)
        return _first(limit, (row for row in rows if row.time >= start))

    def latest_aggregates(self, symbol: str, limit: int, until: int) -> list[AggregateTrade]:
        """Return the last ``limit`` aggregated trades, in order of their ids."""
        return _first(limit, self._descending(self.market.aggregates, symbol, until))[::-1]

    def latest_trade(self, symbol: str, until: int) -> AnyTrade | None:
        """Return the last trade (aggregated if the market has no others), also if it is hidden."""
        first, last = self.market.span(symbol)
        for open_time in range(min(last, minute_of(until)), first - MINUTE, -MINUTE):
            known = [trade for trade in self.market.trades(symbol, open_time) if trade.time <= until]
            if known:
                return known[-1]
        return None

    def first_trade(self, symbol: str, start: int, until: int) -> AnyTrade | None:
        """Return the first trade from the time ``start``, also if it is hidden."""
        first, last = self.market.span(symbol)
        for open_time in range(max(first, minute_of(start)), min(last, minute_of(until)) + MINUTE, MINUTE):
            for trade in self.market.trades(symbol, open_time):
                if start <= trade.time <= until:
                    return trade
        return None

    async def klines(
        self, symbol: str, length: int, *, limit: int, until: int, start: int | None = None, end: int | None = None
    ) -> list[Kline]:
        """Return klines ``length`` microseconds long that open from ``start`` to ``end``.

        The first ``limit`` of them with a ``start``, else the last ones. The newest one may still be open.
        Other requests are served between minutes: the klines of a day of a busy symbol take a second.
        """
        first = min((self.market.span(symbol)[0], *self._official.get(symbol, ())))
        newest = (until if end is None else min(end, until)) // length * length
        if newest == until and self._computed(symbol, until, until) is None:
            newest -= length  # a kline without trades appears with its first trade
        oldest = first // length * length
        if start is not None:
            oldest = max(oldest, -(-start // length) * length)  # the first one that opens at or after it
        opens = range(oldest, newest + 1, length)
        opens = opens[:limit] if start is not None else opens[-limit:]
        if not opens:
            return []
        parts: dict[int, list[Kline]] = {}
        price = self._price_before(symbol, opens[0])
        for open_time in range(max(first, opens[0]), min(until + 1, opens[-1] + length), MINUTE):
            kline = self._minute_kline(symbol, open_time, until, price)
            if kline is not None:
                price = kline.close
                parts.setdefault(open_time // length * length, []).append(kline)
            await asyncio.sleep(0)
        return [combine(open_time, length, minutes) for open_time, minutes in parts.items()]

    def _minute_kline(self, symbol: str, open_time: int, until: int, last_price: Decimal | None) -> Kline | None:
        is_closed = open_time + MINUTE <= until
        official = self._official.get(symbol)
        if is_closed and official is not None:
            return official.get(open_time)
        kline = self._whole_minute(symbol, open_time) if is_closed else self._computed(symbol, open_time, until)
        if kline is None and last_price is not None:
            return flat_kline(open_time, MINUTE, last_price)
        return kline

    def _kline_of_minute(self, symbol: str, open_time: int) -> Kline | None:
        return self._computed(symbol, open_time, open_time + MINUTE)

    def _computed(self, symbol: str, open_time: int, until: int) -> Kline | None:
        first, last = self.market.span(symbol)
        if not first <= open_time <= last:
            return None
        trades = [trade for trade in self.market.trades(symbol, open_time) if trade.time <= until]
        return kline_of(open_time, MINUTE, trades) if trades else None

    def _price_before(self, symbol: str, open_time: int) -> Decimal | None:
        trade = self.latest_trade(symbol, open_time - 1)
        return None if trade is None else Decimal(trade.price)

    def _ascending(
        self, of_minute: OfMinute[Row], symbol: str, open_time: int, first_id: int, until: int
    ) -> Iterator[Row]:
        first, last = self.market.span(symbol)
        for minute in range(max(first, open_time), min(last, minute_of(until)) + MINUTE, MINUTE):
            rows = of_minute(symbol, minute)
            for row in rows[bisect_left(rows, first_id, key=_id) :]:
                if row.time <= until and not self._hidden.hides(row):
                    yield row

    def _descending(self, of_minute: OfMinute[Row], symbol: str, until: int) -> Iterator[Row]:
        first, last = self.market.span(symbol)
        for minute in range(min(last, minute_of(until)), first - MINUTE, -MINUTE):
            for row in reversed(of_minute(symbol, minute)):
                if row.time <= until and not self._hidden.hides(row):
                    yield row


def _first(limit: int, rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, limit))
