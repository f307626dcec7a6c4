"""The exchange's trade objects and the one place that decides whether such an object is good.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (Trade Streams, Aggregate Trade
Streams). :func:`decode_batch` is the fast way for many values; it falls back to :func:`decode_one` wherever
a value of the batch looks wrong, so both always agree.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from operator import ne
from typing import NamedTuple, cast

import msgspec

from crypto_analytics.core.decimals import parse_scaled, parse_scaled_column
from crypto_analytics.core.minutes import SECOND, from_datetime, to_microseconds, to_microseconds_column
from crypto_analytics.core.trades import Trade, TradeColumns

# Ids above 2^53 do not survive a JSON parser that reads numbers as doubles; the exchange's are below 10^10.
MAX_TRADE_ID = 2**53
MAX_AGGREGATED = 1_000_000

# The exchange opened on 2017-07-14; its own archives begin a month later.
FIRST_TRADE_TIME = from_datetime(datetime(2017, 7, 1, tzinfo=UTC))


class TradeEvent(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """One trade: ``s`` symbol, ``t`` id, ``p`` price, ``q`` quantity, ``T`` time, ``m`` buyer is the maker."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTradeEvent(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """Trades of one taker order at one price: ``a`` aggregate id, ``f`` first and ``l`` last trade id covered."""

    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  # the exchange's name
    T: int
    m: bool


class _OtherEvent(msgspec.Struct, tag_field="e", tag=""):
    """No event of the exchange. A union makes msgspec demand the tag, which it does not of a single type."""


class Rules(NamedTuple):
    """What a good trade must satisfy: a known symbol, and a time not after ``latest`` (microseconds)."""

    symbols: frozenset[str]
    latest: int


class BadTrade(ValueError):
    """A value that is not a good trade: ``reason`` is a short label for counting, ``detail`` tells the story."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class DecodedBatch:
    """``trades`` per symbol, and the ``bad`` values as (position in the batch, why)."""

    trades: dict[str, TradeColumns]
    bad: list[tuple[int, BadTrade]]


_decode_any = msgspec.json.Decoder(TradeEvent | AggTradeEvent).decode
_decode_trade = msgspec.json.Decoder(TradeEvent | _OtherEvent).decode


def decode_one(value: bytes, rules: Rules) -> tuple[str, Trade]:
    """Return the symbol and the trade that ``value``, a trade or aggTrade object in JSON, holds.

    Raises:
        BadTrade: with the reason ``not_json``, ``wrong_shape``, ``unknown_symbol``, ``bad_id``, ``bad_price``,
            ``bad_quantity`` or ``bad_time``.
    """
    try:
        event = _decode_any(value)
    except msgspec.ValidationError as error:
        raise BadTrade("wrong_shape", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTrade("not_json", str(error)) from error
    if event.s not in rules.symbols:
        raise BadTrade("unknown_symbol", f"{event.s[:40]!r} is not among the configured SYMBOLS")
    first, last = (event.t, event.t) if isinstance(event, TradeEvent) else (event.f, event.l)
    if not 1 <= first <= last <= MAX_TRADE_ID or last - first >= MAX_AGGREGATED:
        raise BadTrade("bad_id", f"ids {first}..{last} are not within 1..2^53, in order and at most a million apart")
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
    """Return the good trades of ``values`` by symbol, in order of arrival, and the bad ones with their reasons."""
    try:
        events = cast(list[TradeEvent], [_decode_trade(value) for value in values])
        trades = {
            symbol: _checked_columns(symbol, symbol_events, raws, rules)
            for symbol, (symbol_events, raws) in _by_symbol(events, values).items()
        }
    except (ValueError, AttributeError, RecursionError):  # not JSON or a broken rule; another event; endless nesting
        return _decode_each(values, rules)
    return DecodedBatch(trades, [])


def _by_symbol(events: list[TradeEvent], values: Sequence[bytes]) -> dict[str, tuple[list[TradeEvent], list[bytes]]]:
    """Group by symbol, a run of equal symbols at a time: a partition hands over long runs."""
    symbols = [event.s for event in events]
    changes = compress(range(1, len(symbols)), map(ne, symbols, symbols[1:]))
    groups: dict[str, tuple[list[TradeEvent], list[bytes]]] = defaultdict(lambda: ([], []))
    start = 0
    for stop in (*changes, len(symbols)):
        if start < stop:
            group_events, group_values = groups[symbols[start]]
            group_events += events[start:stop]
            group_values += values[start:stop]
        start = stop
    return groups


def _checked_columns(symbol: str, events: list[TradeEvent], raws: list[bytes], rules: Rules) -> TradeColumns:
    """Return ``events`` as columns; raises ValueError where any of them would not pass :func:`decode_one`."""
    ids = [event.t for event in events]
    times = to_microseconds_column([event.T for event in events])
    prices = parse_scaled_column([event.p for event in events])
    quantities = parse_scaled_column([event.q for event in events])
    good = (
        symbol in rules.symbols
        and min(ids) >= 1
        and max(ids) <= MAX_TRADE_ID
        and min(prices) > 0
        and min(quantities) > 0
        and min(times) >= FIRST_TRADE_TIME
        and max(times) <= rules.latest
    )
    if not good:
        raise ValueError("a value of this batch breaks a rule")
    return TradeColumns(ids, ids, prices, quantities, times, [event.m for event in events], raws)


def _decode_each(values: Sequence[bytes], rules: Rules) -> DecodedBatch:
    rows: dict[str, list[Trade]] = defaultdict(list)
    bad: list[tuple[int, BadTrade]] = []
    for position, value in enumerate(values):
        try:
            symbol, trade = decode_one(value, rules)
        except BadTrade as error:
            bad.append((position, error))
        else:
            rows[symbol].append(trade)
    return DecodedBatch({symbol: TradeColumns.of(trades) for symbol, trades in rows.items()}, bad)


def latest_allowed(now: int, tolerance_seconds: int) -> int:
    """Return the latest trade time (microseconds) that is no clock error, seen at ``now`` (microseconds)."""
    return now + tolerance_seconds * SECOND
