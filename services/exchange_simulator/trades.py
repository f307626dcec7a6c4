"""Trades and aggregated trades, as they are streamed and as REST returns them."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

StreamType = Literal["trade", "aggTrade"]


class Trade(NamedTuple):
    """One trade. Prices and quantities are decimal strings, ``time`` is in microseconds.

    ``buyer_is_maker`` and ``is_best_match`` are the exchange's ``m`` and ``M``. ``message`` is the recorded
    combined-stream message, which is sent unchanged.
    """

    symbol: str
    id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool
    is_best_match: bool = True
    message: str | None = None

    @property
    def first_id(self) -> int:
        """The trade id, as in an aggregated trade of one trade."""
        return self.id

    @property
    def last_id(self) -> int:
        """The trade id, as in an aggregated trade of one trade."""
        return self.id


class AggregateTrade(NamedTuple):
    """The trades ``first_id``..``last_id``, which have one price, side and time; ``id`` is the aggregate trade id."""

    symbol: str
    id: int
    price: str
    quantity: str
    first_id: int
    last_id: int
    time: int
    buyer_is_maker: bool
    is_best_match: bool = True
    message: str | None = None


AnyTrade = Trade | AggregateTrade


def aggregate_runs(trades: Sequence[Trade]) -> Iterator[list[Trade]]:
    """Yield runs of trades with consecutive ids and one price, side and time, as the exchange aggregates them."""
    run: list[Trade] = []
    for trade in trades:
        if run and not _continues(trade, run[-1]):
            yield run
            run = []
        run.append(trade)
    if run:
        yield run


def _continues(trade: Trade, previous: Trade) -> bool:
    return (
        trade.id == previous.id + 1
        and trade.price == previous.price
        and trade.time == previous.time
        and trade.buyer_is_maker == previous.buyer_is_maker
    )
