"""A generated market with random access to each minute, the same on every machine for one seed.

The trades of a minute are a pure function of seed, symbol and minute. It needs no state: the number of trades and of
aggregates in a minute is constant, so the first ids of a minute do not depend on the minutes before it; and the price
at the start of a minute is a sum of noises with several periods, between which the trades walk. It uses only integers
and SHAKE-128: floats may differ in the last bit, and the methods of the module random may change.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import shake_128
from itertools import accumulate, chain, count, islice, repeat, takewhile

from exchange_simulator.market import Precision
from exchange_simulator.symbols import SCALE, Listing, listing_of
from exchange_simulator.times import MINUTE, minute_of
from exchange_simulator.trades import AggregateTrade, AnyTrade, StreamType, Trade

MARKET_END = 2**62  # end of a market without end
_CACHED_TRADES = 400_000
# Period in minutes and amplitude in millionths of the price; their sum stays within 7 % of the listing's price.
_NOISES = ((10_080, 40_000), (1_440, 20_000), (120, 7_000), (15, 2_000), (1, 600))
_CONTINUES_ONE_IN = 4  # one trade in four has the price, side and time of the one before it


def aggregates_in(trades: int) -> int:
    """Return the number of aggregates of a minute with ``trades`` trades."""
    return trades - trades // _CONTINUES_ONE_IN


@dataclass(frozen=True)
class GeneratedMinute:
    """One symbol's trades of a minute as columns; ``starts`` has a 1 where an aggregate begins, else a 0."""

    symbol: str
    first_id: int
    first_aggregate_id: int
    prices: list[str]
    lots: list[int]
    quantities: list[str]
    times: list[int]
    buyer_is_maker: list[bool]
    starts: list[int]
    lot_scale: int

    @property
    def ids(self) -> range:
        """The trade ids."""
        return range(self.first_id, self.first_id + len(self.prices))

    @cached_property
    def trades(self) -> list[Trade]:
        """The trades one by one."""
        return list(
            map(Trade, repeat(self.symbol), self.ids, self.prices, self.quantities, self.times, self.buyer_is_maker)
        )

    @cached_property
    def aggregates(self) -> list[AggregateTrade]:
        """The aggregated trades."""
        begins = [position for position, start in enumerate(self.starts) if start]
        return [
            AggregateTrade(
                self.symbol,
                self.first_aggregate_id + index,
                self.prices[begin],
                _decimal_text(sum(self.lots[begin:end]) * self.lot_scale),
                self.first_id + begin,
                self.first_id + end - 1,
                self.times[begin],
                self.buyer_is_maker[begin],
            )
            for index, (begin, end) in enumerate(zip(begins, [*begins[1:], len(self.prices)], strict=True))
        ]


class GeneratedMarket:
    """The generated trades of ``symbols`` from the minute ``first_open`` up to ``end`` (None: without end)."""

    stream_type: StreamType = "trade"

    def __init__(
        self, symbols: Sequence[str], *, seed: int, trades_per_minute: int, first_open: int, end: int | None
    ) -> None:
        self.symbols = tuple(symbols)
        self._seed = seed
        self._trades = trades_per_minute
        self._aggregates = aggregates_in(trades_per_minute)
        self._span = (minute_of(first_open), (MARKET_END if end is None else end) - MINUTE)
        self._listings = {symbol: listing_of(symbol) for symbol in symbols}
        self.minute: Callable[[str, int], GeneratedMinute] = lru_cache(max(8, _CACHED_TRADES // trades_per_minute))(
            self._generate
        )
        self._noise = lru_cache(65_536)(self._noise_at)

    def span(self, symbol: str) -> tuple[int, int]:
        """See :class:`~exchange_simulator.market.Market`, as for the other public methods."""
        return self._span

    def trades(self, symbol: str, open_time: int) -> Sequence[Trade]:
        """Return the minute's trades."""
        return self.minute(symbol, open_time).trades

    def aggregates(self, symbol: str, open_time: int) -> Sequence[AggregateTrade]:
        """Return the minute's aggregated trades."""
        return self.minute(symbol, open_time).aggregates

    def minute_of_trade(self, symbol: str, trade_id: int) -> int:
        """Return the open time of the minute that holds trade ``trade_id``."""
        return (trade_id - self._id_base(symbol)) // self._trades * MINUTE

    def minute_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """Return the open time of the minute that holds aggregate ``aggregate_id``."""
        return (aggregate_id - self._id_base(symbol)) // self._aggregates * MINUTE

    def first_id(self, symbol: str, open_time: int) -> int:
        """Return the id of the first trade at or after ``open_time``."""
        return self._id_base(symbol) + open_time // MINUTE * self._trades

    def precision(self, symbol: str) -> Precision:
        """Return the decimals of tick and lot."""
        listing = self._listings[symbol]
        return Precision(listing.price_decimals, listing.lot_decimals)

    def _id_base(self, symbol: str) -> int:
        """Return the offset of a symbol's ids. Minutes count from 1970, so ids are far above 1."""
        return 1 + int.from_bytes(self._bytes(f"ids:{symbol}", 4), "little")

    def _bytes(self, purpose: str, length: int) -> bytes:
        return shake_128(f"{self._seed}:{purpose}".encode()).digest(length)

    def _noise_at(self, symbol: str, period: int, cell: int) -> int:
        """Return a number from -2^31 to 2^31 - 1."""
        return int.from_bytes(self._bytes(f"noise:{symbol}:{period}:{cell}", 4), "little", signed=True)

    def _edge_price(self, symbol: str, index: int) -> int:
        """Return the price in ticks at the start of minute number ``index``."""
        base = self._listings[symbol].price_ticks
        price = base
        for period, millionths in _NOISES:
            cell, within = divmod(index, period)
            left, right = self._noise(symbol, period, cell), self._noise(symbol, period, cell + 1)
            noise = left + (right - left) * within // period
            price += base * millionths * noise // (1_000_000 << 31)
        return max(1, price)

    def _generate(self, symbol: str, open_time: int) -> GeneratedMinute:
        listing = self._listings[symbol]
        trades, aggregates = self._trades, self._aggregates
        index = open_time // MINUTE
        size = 2 * aggregates + trades
        words = iter(struct.unpack(f"<{size}I", self._bytes(f"trades:{symbol}:{index}", 4 * size)))
        moments = _moments(open_time, list(islice(words, aggregates)))
        ticks, sides = self._walk(symbol, index, list(islice(words, aggregates)))
        texts = {tick: _decimal_text(tick * listing.tick_scale) for tick in set(ticks)}
        rest = list(words)
        starts = _starts(rest)
        of_trade = [position - 1 for position in accumulate(starts)]  # index of each trade's aggregate
        lots = [1 + (((word & 0xFFFF) * listing.largest_lots >> 16) >> (word >> 16 & 7)) for word in rest]
        return GeneratedMinute(
            symbol=symbol,
            first_id=self.first_id(symbol, open_time),
            first_aggregate_id=self._id_base(symbol) + index * aggregates,
            prices=[texts[ticks[position]] for position in of_trade],
            lots=lots,
            quantities=_lot_texts(lots, listing),
            times=[moments[position] for position in of_trade],
            buyer_is_maker=[sides[position] for position in of_trade],
            starts=starts,
            lot_scale=listing.lot_scale,
        )

    def _walk(self, symbol: str, index: int, words: list[int]) -> tuple[list[int], list[bool]]:
        """Return price in ticks and side of each aggregate: a walk from this minute's edge price to the next one's."""
        step = self._listings[symbol].step_ticks
        begin, end = self._edge_price(symbol, index), self._edge_price(symbol, index + 1)
        walk = list(accumulate([((word & 3) + (word >> 2 & 3) - 3) * step + (word >> 8) % step for word in words]))
        drift = end - begin - walk[-1]
        sides = [word >> 31 == 1 for word in words]
        ticks = [
            max(1, begin + walked + drift * position // len(words) + (not sold))  # a buyer pays the spread
            for position, (walked, sold) in enumerate(zip(walk, sides, strict=True), 1)
        ]
        return ticks, sides


def _moments(open_time: int, words: list[int]) -> list[int]:
    """Return a time for each aggregate of the minute: distinct, and in distinct milliseconds if there are enough."""
    slots, width = (59_999, 1000) if len(words) <= 30_000 else (MINUTE - 1, 1)
    room = slots - len(words)
    places = sorted([word * room >> 32 for word in words])
    return [
        open_time + 1 + (place + position) * width + word % width
        for position, (place, word) in enumerate(zip(places, words, strict=True))
    ]


def _starts(words: list[int]) -> list[int]:
    """Return a 1 for each trade that begins an aggregate, else 0: one 0 in four trades."""
    starts = [1] * len(words)
    for first in range(0, len(words) - _CONTINUES_ONE_IN + 1, _CONTINUES_ONE_IN):
        within = words[first] >> 30
        starts[first + within if first + within else 1] = 0  # the minute's first trade always begins one
    return starts


def _lot_texts(lots: list[int], listing: Listing) -> list[str]:
    zeros = "0" * (SCALE - listing.lot_decimals)
    decimals = listing.lot_decimals
    if not decimals:
        return [f"{lot}.{zeros}" for lot in lots]
    digits = [f"{lot:0{decimals + 1}d}{zeros}" for lot in lots]
    return [f"{text[:-SCALE]}.{text[-SCALE:]}" for text in digits]


def _decimal_text(scaled: int) -> str:
    """Return the non-negative ``scaled`` / 10^8 with eight decimals."""
    digits = str(scaled).rjust(SCALE + 1, "0")
    return f"{digits[:-SCALE]}.{digits[-SCALE:]}"


class GeneratedPlay:
    """``market`` from ``start`` to ``end`` (microseconds; None: for ever), symbols in time order."""

    stream_type: StreamType = "trade"

    def __init__(self, market: GeneratedMarket, start: int, end: int | None, trades_per_minute: int) -> None:
        self.symbols = market.symbols
        self.starts_at = start
        self.ends_at = end
        self.total: int | None = None  # not known where it never ends, or begins within a minute
        if end is not None and start % MINUTE == 0:
            self.total = (end - start) // MINUTE * trades_per_minute * len(market.symbols)
        self._market = market

    def final_id(self, symbol: str) -> int | None:
        """Return the last trade id of the play, None where it never ends."""
        return None if self.ends_at is None else self._market.first_id(symbol, self.ends_at) - 1

    def parts(self, after: int) -> Iterator[Iterator[AnyTrade]]:
        """Yield the trades later than ``after``, a minute at a time."""
        for open_time in count(minute_of(after), MINUTE):
            if self.ends_at is not None and open_time >= self.ends_at:
                return
            minutes = [self._market.minute(symbol, open_time) for symbol in self.symbols]
            yield _in_time_order(minutes, after)


def _in_time_order(minutes: list[GeneratedMinute], after: int) -> Iterator[Trade]:
    times = list(chain.from_iterable(minute.times for minute in minutes))
    order = sorted(range(len(times)), key=times.__getitem__)  # stable: equal times in the order of the symbols
    first = sum(1 for _ in takewhile(lambda position: times[position] <= after, order))
    columns = (
        list(chain.from_iterable([minute.symbol] * len(minute.prices) for minute in minutes)),
        list(chain.from_iterable(minute.ids for minute in minutes)),
        list(chain.from_iterable(minute.prices for minute in minutes)),
        list(chain.from_iterable(minute.quantities for minute in minutes)),
        times,
        list(chain.from_iterable(minute.buyer_is_maker for minute in minutes)),
    )
    order = order[first:]
    return map(Trade, *(map(column.__getitem__, order) for column in columns))
