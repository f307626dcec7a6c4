"""What the simulator plays: trades and aggregated trades, where they come from and in which order they are streamed."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

StreamType = Literal["trade", "aggTrade"]


class Trade(NamedTuple):
    """One trade. Prices and quantities are the strings to send, ``time`` is in microseconds.

    ``buyer_is_maker`` and ``is_best_match`` are the exchange's ``m`` and ``M``; ``message`` is the recorded
    combined-stream message, sent as it is where there is one.
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
        """The trade id itself, as for an aggregate of one."""
        return self.id

    @property
    def last_id(self) -> int:
        """The trade id itself, as for an aggregate of one."""
        return self.id


class Aggregate(NamedTuple):
    """Consecutive trades ``first_id``..``last_id`` of one price, side and time; ``id`` is the aggregate's own."""

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


Record = Trade | Aggregate


class Precision(NamedTuple):
    """Decimals of a symbol's price tick and lot size."""

    price: int
    quantity: int


class Market(Protocol):
    """Random access to what has happened, minute by minute: what REST answers from. Times are microseconds.

    A minute is named by its open time. The clock is none of a market's business: it also knows the future.
    """

    symbols: tuple[str, ...]
    stream_type: StreamType

    def span(self, symbol: str) -> tuple[int, int]:
        """Return the open times of the first and the last minute there may be trades in."""

    def records(self, symbol: str, open_time: int) -> Sequence[Record]:
        """Return the minute's trades (aggregated ones where the market has no others), in order of their ids."""

    def aggregates(self, symbol: str, open_time: int) -> Sequence[Aggregate]:
        """Return the minute's aggregated trades, in order of their ids."""

    def minute_of_record(self, symbol: str, record_id: int) -> int:
        """Return the open time of the minute that holds the first record with this id or a greater one."""

    def minute_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """Return the open time of the minute that holds the first aggregate with this id or a greater one."""

    def precision(self, symbol: str) -> Precision:
        """Return the decimals of tick and lot."""


class Play(Protocol):
    """What is streamed, in order. ``starts_at`` and ``ends_at`` (None: never) are the clock before and after it."""

    symbols: tuple[str, ...]
    stream_type: StreamType
    starts_at: int
    ends_at: int | None
    total: int | None

    def final_id(self, symbol: str) -> int | None:
        """Return the last trade id of the whole play, None where it never ends."""

    def parts(self, after: int) -> Iterator[Iterator[Record]]:
        """Yield the records later than ``after`` in parts; making a part may take long, reading it does not."""


def aggregate_runs(trades: Sequence[Trade]) -> Iterator[list[Trade]]:
    """Yield the runs of consecutive ids with the same price, side and time, as the exchange aggregates them."""
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
