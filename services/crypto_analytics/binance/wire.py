"""The exchange's trade objects and the one place that decides whether such an object is good.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (Trade Streams, Aggregate Trade
Streams). :func:`decode_batch` is the fast way for many values, through :mod:`.layout`; it falls back to
:func:`decode_one` for all values that it reads at once where any of them looks wrong, so both always agree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np

from crypto_analytics.binance import layout
from crypto_analytics.core.decimals import parse_scaled
from crypto_analytics.core.lines import NEWLINE
from crypto_analytics.core.minutes import SECOND, from_datetime, to_microseconds, to_microseconds_column
from crypto_analytics.core.trades import Integers, Trade, TradeColumns

# The exchange numbers the trades of a symbol from 0; its largest ids are below 10^10. Ids above 2^53 would not survive
# a JSON parser that reads numbers as doubles.
FIRST_TRADE_ID = 0
MAX_TRADE_ID = 2**53
MAX_AGGREGATED = 1_000_000

# The exchange opened on 2017-07-14; its own archives begin a month later.
FIRST_TRADE_TIME = from_datetime(datetime(2017, 7, 1, tzinfo=UTC))

FUTURES = "futures"
SPOT_ONLY = "the platform reads the spot market: check BINANCE_WS_URL and BINANCE_REST_URL"

AT_ONCE = 5_000  # values: their columns stay in the processor's cache, and one that is spelled otherwise slows few


# Names of futures contracts: BTCUSD_PERP, BTCUSDT_240329.
_CONTRACT = re.compile(r".+_(PERP|[0-9]{6})")


class TradeEvent(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """One trade: ``s`` symbol, ``t`` id, ``p`` price, ``q`` quantity, ``T`` time, ``m`` buyer is the maker.

    ``X`` (MARKET, INSURANCE_FUND, ADL, NA) and ``ps`` (the pair of a contract) are sent by the futures markets alone.
    """

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    X: Any = msgspec.UNSET
    ps: Any = msgspec.UNSET

    @property
    def is_futures(self) -> bool:
        """Whether a futures market sent it."""
        return self.X is not msgspec.UNSET or self.ps is not msgspec.UNSET


class AggTradeEvent(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """Trades of one taker order at one price: ``a`` aggregate id, ``f`` first and ``l`` last trade id covered.

    ``nq`` (the quantity without retail price improvement) and ``ps`` are sent by the futures markets alone.
    """

    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  # the exchange's name
    T: int
    m: bool
    nq: Any = msgspec.UNSET
    ps: Any = msgspec.UNSET

    @property
    def is_futures(self) -> bool:
        """Whether a futures market sent it."""
        return self.nq is not msgspec.UNSET or self.ps is not msgspec.UNSET


class Rules(NamedTuple):
    """What a good trade must satisfy: a known symbol, and a time not after ``latest`` (microseconds)."""

    symbols: frozenset[str]
    latest: int


class BadTrade(ValueError):
    """A value that is not a good trade: ``reason`` is a short label for counting, ``detail`` says what is wrong."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class DecodedBatch:
    """What ``count`` values hold: the good trades in order of arrival, and the bad values as (position, why).

    ``symbols`` has one element for each run of good trades with one symbol, and ``starts`` the position in ``trades``
    where that run begins.
    """

    count: int
    trades: TradeColumns
    symbols: list[str]
    starts: list[int]
    bad: list[tuple[int, BadTrade]]

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """Return what the values of all ``batches`` hold, one after the other."""
        result = cls(0, TradeColumns.joined([batch.trades for batch in batches]), [], [], [])
        trades_before = 0
        for batch in batches:
            again = bool(batch.symbols) and batch.symbols[:1] == result.symbols[-1:]  # the last run goes on
            result.symbols += batch.symbols[again:]
            result.starts += [trades_before + start for start in batch.starts[again:]]
            result.bad += [(result.count + position, error) for position, error in batch.bad]
            result.count += batch.count
            trades_before += len(batch.trades)
        return result

    def by_symbol(self) -> dict[str, TradeColumns]:
        """Return the good trades by symbol: a partition hands over long runs of one."""
        if not self.symbols:
            return {}
        trades, starts = self.trades, self.starts
        numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys(self.symbols))}
        if len(numbers) < len(self.symbols):  # some symbol has several runs: make it one
            run_numbers = np.array([numbers[symbol] for symbol in self.symbols])
            row_numbers = np.repeat(run_numbers, np.diff([*starts, len(trades)]))
            trades = trades.take(np.argsort(row_numbers, kind="stable"))
            starts = [0, *np.cumsum(np.bincount(row_numbers))[:-1].tolist()]
        stops = [*starts[1:], len(trades)]
        return {symbol: trades.slice(*span) for symbol, *span in zip(numbers, starts, stops, strict=True)}


_decode_any = msgspec.json.Decoder(TradeEvent | AggTradeEvent).decode


def decode_one(value: bytes, rules: Rules) -> tuple[str, Trade]:
    """Return the symbol and the trade that ``value``, a trade or aggTrade object in JSON, holds.

    The trade's ``raw`` is the value, written compactly where it spans lines.

    Raises:
        BadTrade: with the reason ``not_json``, ``wrong_shape``, ``futures``, ``unknown_symbol``, ``bad_id``,
            ``bad_price``, ``bad_quantity`` or ``bad_time``.
    """
    try:
        event = _decode_any(value)
        if NEWLINE in value:
            value = msgspec.json.format(value, indent=-1)
    except msgspec.ValidationError as error:
        raise BadTrade("wrong_shape", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTrade("not_json", str(error)) from error
    if event.is_futures or (event.s not in rules.symbols and _CONTRACT.fullmatch(event.s)):
        raise BadTrade(FUTURES, f"this is a futures trade of {event.s[:40]!r}; {SPOT_ONLY}")
    if event.s not in rules.symbols:
        raise BadTrade("unknown_symbol", f"{event.s[:40]!r} is not among the configured SYMBOLS")
    first, last = (event.t, event.t) if isinstance(event, TradeEvent) else (event.f, event.l)
    if not FIRST_TRADE_ID <= first <= last <= MAX_TRADE_ID or last - first >= MAX_AGGREGATED:
        raise BadTrade("bad_id", f"ids {first}..{last} are not within 0..2^53, in order and at most a million apart")
    price = _positive("bad_price", event.p)
    quantity = _positive("bad_quantity", event.q)
    time = to_microseconds(event.T)
    if not FIRST_TRADE_TIME <= time <= rules.latest:
        raise BadTrade("bad_time", f"trade time {time} us is not between {FIRST_TRADE_TIME} and {rules.latest} us")
    return event.s, Trade(first, last, price, quantity, time, event.m, value)


def _positive(reason: str, text: str) -> int:
    try:
        value = parse_scaled(text)
    except ValueError as error:
        raise BadTrade(reason, str(error)) from error
    if value == 0:
        raise BadTrade(reason, "zero")
    return value


def decode_batch(values: Sequence[bytes], rules: Rules) -> DecodedBatch:
    """Return what ``values`` hold."""
    pieces = [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]
    return DecodedBatch.joined([_decode(piece, rules) for piece in pieces])


def _decode(values: Sequence[bytes], rules: Rules) -> DecodedBatch:
    read = layout.read(values)
    if read is None:
        return _decode_each(values, rules)
    times = to_microseconds_column(read.timestamps)
    if not _is_good(read, times, rules):
        return _decode_each(values, rules)
    trades = TradeColumns(read.ids, read.ids, read.prices, read.quantities, times, read.buyer_is_maker, read.lines)
    return DecodedBatch(len(values), trades, read.symbols, read.starts, [])


def _is_good(read: layout.Read, times: Integers, rules: Rules) -> bool:
    """Whether all of ``read``, traded at ``times`` (microseconds), would pass :func:`decode_one`."""
    return bool(
        rules.symbols.issuperset(read.symbols)
        and read.ids.min() >= FIRST_TRADE_ID
        and read.ids.max() <= MAX_TRADE_ID
        and read.prices.min() > 0
        and read.quantities.min() > 0
        and times.min() >= FIRST_TRADE_TIME
        and times.max() <= rules.latest
    )


def _decode_each(values: Sequence[bytes], rules: Rules) -> DecodedBatch:
    good: list[tuple[str, Trade]] = []
    bad: list[tuple[int, BadTrade]] = []
    for position, value in enumerate(values):
        try:
            good.append(decode_one(value, rules))
        except BadTrade as error:
            # Without its traceback, whose frames hold the whole read, and this list too: only gc would find that cycle.
            bad.append((position, BadTrade(error.reason, error.detail)))
    starts = [number for number, (symbol, _) in enumerate(good) if not number or symbol != good[number - 1][0]]
    trades = TradeColumns.of(trade for _, trade in good)
    return DecodedBatch(len(values), trades, [good[start][0] for start in starts], starts, bad)


def latest_allowed(now: int, tolerance_seconds: int) -> int:
    """Return the latest trade time (microseconds) that is no clock error, seen at ``now`` (microseconds)."""
    return now + tolerance_seconds * SECOND
