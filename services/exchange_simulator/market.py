"""The interfaces of a market (for REST) and of a play (for the stream), and the lookup of aggregated trades."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from exchange_simulator.times import minute_of
from exchange_simulator.trades import AggregateTrade, AnyTrade, StreamType, Trade


class Precision(NamedTuple):
    """Number of decimals of a symbol's tick size and lot size."""

    price: int
    quantity: int


class Market(Protocol):
    """Random access to all trades by minute, from which REST answers. Times are in microseconds.

    A minute is identified by its open time. A market has no clock: it returns trades of the future too.
    """

    symbols: tuple[str, ...]
    stream_type: StreamType

    def span(self, symbol: str) -> tuple[int, int]:
        """Return the open times of the first and the last minute that can have trades."""

    def trades(self, symbol: str, open_time: int) -> Sequence[AnyTrade]:
        """Return the minute's trades in order of their ids; aggregated trades if the market has no others."""

    def aggregates(self, symbol: str, open_time: int) -> Sequence[AggregateTrade]:
        """Return the minute's aggregated trades, in order of their ids."""

    def minute_of_trade(self, symbol: str, trade_id: int) -> int:
        """Return the open time of the minute that holds the first trade with this id or a greater one."""

    def minute_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """Return the open time of the minute that holds the first aggregate with this id or a greater one."""

    def precision(self, symbol: str) -> Precision:
        """Return the decimals of tick and lot."""


class Play(Protocol):
    """The trades to stream, in order. ``starts_at`` and ``ends_at`` (None: never) are the clock before and after it."""

    symbols: tuple[str, ...]
    stream_type: StreamType
    starts_at: int
    ends_at: int | None
    total: int | None

    def final_id(self, symbol: str) -> int | None:
        """Return the last trade id of the play, None if it has no end."""

    def parts(self, after: int) -> Iterator[Iterator[AnyTrade]]:
        """Yield the trades later than ``after`` in parts. Generating a part may be slow."""


class AggregateLookup:
    """Finds the aggregated trade that a trade completes. Caches the newest minute of each symbol."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._minutes: dict[str, tuple[int, dict[int, AggregateTrade]]] = {}

    def __call__(self, trade: Trade) -> AggregateTrade | None:
        """Return the aggregated trade whose last trade is ``trade``, else None."""
        minute = minute_of(trade.time)
        known = self._minutes.get(trade.symbol)
        if known is None or known[0] != minute:
            aggregates = self._market.aggregates(trade.symbol, minute)
            known = minute, {aggregate.last_id: aggregate for aggregate in aggregates}
            self._minutes[trade.symbol] = known
        return known[1].get(trade.id)
