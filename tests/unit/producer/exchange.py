"""An exchange in memory: individual and aggregated trades, missing ids, and refused requests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from crypto_analytics.binance.errors import ExchangeError, Rejected
from crypto_analytics.binance.rest import AggTrade, HistoricalTrade, SymbolInfo
from crypto_analytics.core.id_ranges import IdRange, IdRanges

TIME = 1_767_571_200_000_000


def trade(trade_id: int) -> HistoricalTrade:
    return HistoricalTrade(trade_id, "100.00000000", "0.50000000", TIME + trade_id * 1000, trade_id % 2 == 0)


@dataclass
class MemoryExchange:
    """Has the trades ``first``..``last`` without ``lacking``; each ``per_aggregate`` of them form one aggregate."""

    first: int = 1
    last: int = 0
    per_aggregate: int = 3
    lacking: IdRanges = field(default_factory=IdRanges)
    refuses: set[str] = field(default_factory=set)
    failing: ExchangeError | None = None
    void_aggregates: bool = False
    unknown: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _has(self, trade_id: int) -> bool:
        return self.first <= trade_id <= self.last and trade_id not in self.lacking

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failing is not None:
            raise self.failing
        if what in self.refuses:
            raise Rejected(f"{what} is not served here", 404)

    async def historical_trades(self, symbol: str, from_id: int, limit: int = 1000) -> list[HistoricalTrade]:
        self._ask("historical_trades")
        stop = min(self.last, from_id + limit + 10_000)
        return [trade(i) for i in range(max(from_id, self.first), stop + 1) if self._has(i)][:limit]

    async def recent_trades(self, symbol: str, limit: int = 1000) -> list[HistoricalTrade]:
        self._ask("recent_trades")
        return [trade(i) for i in range(max(self.first, self.last - 2 * limit), self.last + 1) if self._has(i)][-limit:]

    def aggregates(self) -> list[AggTrade]:
        present = [i for i in range(self.first, self.last + 1) if self._has(i)]
        rows: list[AggTrade] = []
        number = 7
        for _, members in groupby(present, key=lambda i: i // self.per_aggregate):
            ids = list(members)
            runs = IdRanges((i, i) for i in ids)
            for low, high in runs:
                if self.void_aggregates and number % 5 == 0:
                    number += 1  # a void aggregate, which the client does not return
                time = TIME + low * 1000
                rows.append(AggTrade(number, "100.0", f"{high - low + 1}.0", low, high, time, low % 2 == 0))
                number += 1
        return rows

    async def agg_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> list[AggTrade]:
        self._ask("agg_trades")
        rows = self.aggregates()
        return rows[-limit:] if from_id is None else [row for row in rows if row.a >= from_id][:limit]

    def _check(self, symbols: Sequence[str]) -> None:
        if self.unknown.intersection(symbols):
            raise Rejected("Invalid symbol.", 400, -1121)

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        self._ask("ids_of_last_day")
        self._check(symbols)
        return dict.fromkeys(symbols, IdRange(self.first, self.last) if self.first <= self.last else None)

    async def exchange_info(self, symbols: Sequence[str]) -> dict[str, SymbolInfo]:
        self._ask("exchange_info")
        self._check(symbols)
        return {symbol: SymbolInfo(symbol, self.statuses.get(symbol, "TRADING")) for symbol in symbols}
