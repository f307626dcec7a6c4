"""Decode and validate the exchange's trade events.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (Trade Streams, Aggregate Trade
Streams). :func:`decode_one` defines which values are valid. :func:`decode_batch` gives the same results for many
values in less time with :mod:`.vectorized_parser`, and uses :func:`decode_one` for chunks that this parser declines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np

from crypto_analytics.binance import vectorized_parser
from crypto_analytics.core.bytes_column import NEWLINE
from crypto_analytics.core.decimals import parse_scaled
from crypto_analytics.core.minutes import SECOND, from_datetime, to_microseconds
from crypto_analytics.core.trades import Integers, Trade, TradeColumns, to_microseconds_column

# The exchange numbers the trades of a symbol from 0; its largest ids are below 10^10. JSON parsers that read numbers as
# doubles would round ids above 2^53.
FIRST_TRADE_ID = 0
MAX_TRADE_ID = 2**53
MAX_AGGREGATED = 1_000_000

# The exchange opened on 2017-07-14; its own archives begin a month later.
FIRST_TRADE_TIME = from_datetime(datetime(2017, 7, 1, tzinfo=UTC))

FUTURES = "futures"
SPOT_ONLY = "the platform reads the spot market: check BINANCE_WS_URL and BINANCE_REST_URL"

AT_ONCE = 5_000  # values per chunk: the columns stay in the processor's cache, and an unusual value slows few others


# Names of futures contracts: BTCUSD_PERP, BTCUSDT_240329.
_CONTRACT = re.compile(r".+_(PERP|[0-9]{6})")


class TradeEvent(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """One trade: ``s`` symbol, ``t`` id, ``p`` price, ``q`` quantity, ``T`` time, ``m`` buyer is the maker.

    Only the futures markets send ``X`` (MARKET, INSURANCE_FUND, ADL, NA) and ``ps`` (the pair of a contract).
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
        """Whether the event is from a futures market."""
        return self.X is not msgspec.UNSET or self.ps is not msgspec.UNSET


class AggTradeEvent(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """Trades of one taker order at one price: ``a`` aggregate id, ``f`` first and ``l`` last trade id covered.

    Only the futures markets send ``nq`` (the quantity without retail price improvement) and ``ps``.
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
        """Whether the event is from a futures market."""
        return self.nq is not msgspec.UNSET or self.ps is not msgspec.UNSET


class Rules(NamedTuple):
    """Limits of a valid trade: its symbol is one of ``symbols``, its time at most ``latest`` (microseconds)."""

    symbols: frozenset[str]
    latest: int


class BadTrade(ValueError):
    """A value is not a valid trade: ``reason`` is a label for metrics, ``detail`` describes the fault."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class DecodedBatch:
    """The result of decoding ``count`` values: valid trades in order of arrival, and (position, error) of bad values.

    ``symbols`` has one element per run of consecutive trades with one symbol, and ``starts`` the position in
    ``trades`` of the first trade of that run.
    """

    count: int
    trades: TradeColumns
    symbols: list[str]
    starts: list[int]
    bad: list[tuple[int, BadTrade]]

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """Return the results of all ``batches``, one batch after the other."""
        result = cls(0, TradeColumns.joined([batch.trades for batch in batches]), [], [], [])
        trades_before = 0
        for batch in batches:
            continues = bool(batch.symbols) and batch.symbols[:1] == result.symbols[-1:]
            result.symbols += batch.symbols[continues:]
            result.starts += [trades_before + start for start in batch.starts[continues:]]
            result.bad += [(result.count + position, error) for position, error in batch.bad]
            result.count += batch.count
            trades_before += len(batch.trades)
        return result

    def by_symbol(self) -> dict[str, TradeColumns]:
        """Return the valid trades by symbol. It is fastest with few, long runs, as a Kafka partition delivers them."""
        if not self.symbols:
            return {}
        trades, starts = self.trades, self.starts
        numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys(self.symbols))}
        if len(numbers) < len(self.symbols):  # a symbol has several runs: sort the rows by symbol
            run_numbers = np.array([numbers[symbol] for symbol in self.symbols])
            row_numbers = np.repeat(run_numbers, np.diff([*starts, len(trades)]))
            trades = trades.take(np.argsort(row_numbers, kind="stable"))
            starts = [0, *np.cumsum(np.bincount(row_numbers))[:-1].tolist()]
        stops = [*starts[1:], len(trades)]
        return {symbol: trades.slice(*span) for symbol, *span in zip(numbers, starts, stops, strict=True)}


_decode_any = msgspec.json.Decoder(TradeEvent | AggTradeEvent).decode


def decode_one(value: bytes, rules: Rules) -> tuple[str, Trade]:
    """Return the symbol and the trade of ``value``, a trade or aggTrade event in JSON.

    The trade's ``raw`` is ``value``, without its whitespace if it spans several lines.

    Raises:
        BadTrade: the value is not a valid trade. The reason is ``not_json``, ``wrong_shape``, ``futures``,
            ``unknown_symbol``, ``bad_id``, ``bad_price``, ``bad_quantity`` or ``bad_time``.
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
        raise BadTrade("bad_id", f"ids {first}..{last} are not within 0..2^53, ascending and at most a million apart")
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
    """Return the trades of ``values`` and the errors of those that are not valid trades."""
    chunks = [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]
    return DecodedBatch.joined([_decode(chunk, rules) for chunk in chunks])


def _decode(values: Sequence[bytes], rules: Rules) -> DecodedBatch:
    parsed = vectorized_parser.parse(values)
    if parsed is None:
        return _decode_each(values, rules)
    times = to_microseconds_column(parsed.timestamps)
    if not _is_valid(parsed, times, rules):
        return _decode_each(values, rules)
    trades = TradeColumns(
        parsed.ids, parsed.ids, parsed.prices, parsed.quantities, times, parsed.buyer_is_maker, parsed.raws
    )
    return DecodedBatch(len(values), trades, parsed.symbols, parsed.starts, [])


def _is_valid(parsed: vectorized_parser.ParsedTrades, times: Integers, rules: Rules) -> bool:
    """Return whether :func:`decode_one` would accept all ``parsed`` trades; ``times`` are theirs in microseconds."""
    return bool(
        rules.symbols.issuperset(parsed.symbols)
        and parsed.ids.min() >= FIRST_TRADE_ID
        and parsed.ids.max() <= MAX_TRADE_ID
        and parsed.prices.min() > 0
        and parsed.quantities.min() > 0
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
            # A copy without the traceback, whose frames refer to ``values`` and to this list: a reference cycle.
            bad.append((position, BadTrade(error.reason, error.detail)))
    starts = [number for number, (symbol, _) in enumerate(good) if not number or symbol != good[number - 1][0]]
    trades = TradeColumns.of(trade for _, trade in good)
    return DecodedBatch(len(values), trades, [good[start][0] for start in starts], starts, bad)


def latest_allowed(now: int, tolerance_seconds: int) -> int:
    """Return the latest valid trade time in microseconds at the time ``now`` (microseconds)."""
    return now + tolerance_seconds * SECOND
