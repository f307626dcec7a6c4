"""A recording as a market (random access for REST) and as a play (the stream, in the order of the file)."""

import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache

from exchange_simulator.compact_trades import CompactTrades
from exchange_simulator.market import Precision
from exchange_simulator.recordings import Recording
from exchange_simulator.times import MINUTE, minute_of
from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade, aggregate_runs

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


def _has_numbers(trade: AnyTrade) -> bool:
    """Return whether REST can return a recorded trade: numbers of a stream are not validated, unlike an archive's."""
    return _DECIMAL.fullmatch(trade.price) is not None and _DECIMAL.fullmatch(trade.quantity) is not None


class _Symbol:
    """One symbol's trades in order of their ids, each id once (the first in the file), by minute."""

    def __init__(self, trades: CompactTrades, positions: list[int]) -> None:
        ids, times = trades.ids, trades.times
        positions.sort(key=ids.__getitem__)  # stable, and quick where the file is in order
        kept = [
            position
            for index, position in enumerate(positions)
            if not index or ids[position] != ids[positions[index - 1]]
        ]
        self._trades = trades
        self.ids = array("q", map(ids.__getitem__, kept))
        self._positions = array("q", kept)
        self._minutes: dict[int, array[int]] = defaultdict(lambda: array("q"))
        for position in kept:
            self._minutes[minute_of(times[position])].append(position)
        self.span = (min(self._minutes, default=0), max(self._minutes, default=0))

    def minute(self, open_time: int) -> Sequence[AnyTrade]:
        """Return the trades of a minute."""
        return [self._trades[position] for position in self._minutes.get(open_time, ())]

    def minute_of(self, trade_id: int) -> int:
        """Return the minute of the first trade with ``trade_id`` or a greater one, past the end if none."""
        index = bisect_left(self.ids, trade_id)
        if index == len(self.ids):
            return self.span[1] + MINUTE
        return minute_of(self._trades.times[self._positions[index]])

    @cached_property
    def aggregates_before(self) -> dict[int, int]:
        """The number of aggregates before each minute: the exchange's aggregate ids are not recorded."""
        before: dict[int, int] = {}
        total = 0
        for open_time in sorted(self._minutes):
            before[open_time] = total
            total += sum(1 for _ in aggregate_runs(_individual_trades(self.minute(open_time))))
        return before


class RecordedMarket:
    """Random access to a recording; see :class:`~exchange_simulator.market.Market`."""

    def __init__(self, recording: Recording) -> None:
        self.stream_type = recording.stream_type
        self.symbols = recording.symbols
        positions: dict[str, list[int]] = {symbol: [] for symbol in self.symbols}
        for position in range(len(recording.trades)):
            if recording.kind != "stream" or _has_numbers(recording.trades[position]):
                positions[recording.trades.symbol_of(position)].append(position)
        self._symbols = {symbol: _Symbol(recording.trades, positions[symbol]) for symbol in self.symbols}
        self.trades: Callable[[str, int], Sequence[AnyTrade]] = lru_cache(256)(self._trades)
        self.aggregates: Callable[[str, int], Sequence[AggregateTrade]] = lru_cache(256)(self._aggregates)

    def span(self, symbol: str) -> tuple[int, int]:
        """Return the open times of the first and the last minute with trades."""
        return self._symbols[symbol].span

    def _trades(self, symbol: str, open_time: int) -> Sequence[AnyTrade]:
        return self._symbols[symbol].minute(open_time)

    def _aggregates(self, symbol: str, open_time: int) -> Sequence[AggregateTrade]:
        trades = self.trades(symbol, open_time)
        if not trades or isinstance(trades[0], AggregateTrade):
            return _aggregated_trades(trades)
        first = self._symbols[symbol].aggregates_before[open_time] + 1
        return [_aggregate(number, run) for number, run in enumerate(aggregate_runs(_individual_trades(trades)), first)]

    def minute_of_trade(self, symbol: str, trade_id: int) -> int:
        """Return the minute of the first trade with ``trade_id`` or a greater one."""
        return self._symbols[symbol].minute_of(trade_id)

    def minute_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """Return the minute of the first aggregate with ``aggregate_id`` or a greater one."""
        known = self._symbols[symbol]
        if self.stream_type == "aggTrade":
            return known.minute_of(aggregate_id)
        minutes = [minute for minute, before in known.aggregates_before.items() if before < aggregate_id]
        return minutes[-1] if minutes else known.span[0]

    def precision(self, symbol: str) -> Precision:
        """Return eight decimals: a recording has no tick size and lot size."""
        return Precision(8, 8)


def _individual_trades(trades: Sequence[AnyTrade]) -> list[Trade]:
    return [trade for trade in trades if isinstance(trade, Trade)]


def _aggregated_trades(trades: Sequence[AnyTrade]) -> list[AggregateTrade]:
    return [trade for trade in trades if isinstance(trade, AggregateTrade)]


def _aggregate(number: int, run: list[Trade]) -> AggregateTrade:
    first = run[0]
    quantity = sum((Decimal(trade.quantity) for trade in run), Decimal(0))
    return AggregateTrade(
        first.symbol,
        number,
        first.price,
        f"{quantity:f}",
        first.id,
        run[-1].id,
        first.time,
        first.buyer_is_maker,
        first.is_best_match,
    )


class RecordedPlay:
    """A recording from its first row to its last, unchanged."""

    def __init__(self, recording: Recording) -> None:
        self.symbols = recording.symbols
        self.stream_type = recording.stream_type
        self._trades = recording.trades
        self.starts_at = recording.trades.times[0] - 1
        self.ends_at: int | None = max(recording.trades.times)
        self.total: int | None = len(recording.trades)
        self._final_ids: dict[str, int] = defaultdict(int)
        for position in range(len(recording.trades)):
            symbol = recording.trades.symbol_of(position)
            self._final_ids[symbol] = max(self._final_ids[symbol], recording.trades.last_id_of(position))

    def final_id(self, symbol: str) -> int | None:
        """Return the greatest trade id of the recording."""
        return self._final_ids[symbol]

    def parts(self, after: int) -> Iterator[Iterator[AnyTrade]]:
        """Yield the whole recording; ``after`` matters only in real time, in which no recording is played."""
        yield iter(self._trades)
