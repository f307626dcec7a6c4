"""One row of a recording becomes a trade, an aggregated trade or a kline; a ValueError says what is wrong with it."""

import re
from collections.abc import Callable
from decimal import Decimal

import msgspec

from crypto_analytics.core.minutes import MINUTE, to_microseconds
from crypto_analytics.simulator.klines import Kline
from crypto_analytics.simulator.tape import Aggregate, Record, Trade

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_INTEGER = re.compile(r"[0-9]{1,18}")
_BOOLEANS = {"true": True, "false": False}


def trade_parser(symbol: str) -> Callable[[list[str]], Trade]:
    """Return the parser of a ``trades`` archive's rows."""

    def parse(row: list[str]) -> Trade:
        trade_id, price, quantity, _quote, time, maker, best = row
        return Trade(
            symbol, _integer(trade_id), _decimal(price), _decimal(quantity), to_microseconds(_integer(time)),
            _boolean(maker), _boolean(best),
        )  # fmt: skip

    return parse


def aggregate_parser(symbol: str) -> Callable[[list[str]], Aggregate]:
    """Return the parser of an ``aggTrades`` archive's rows."""

    def parse(row: list[str]) -> Aggregate:
        aggregate_id, price, quantity, first, last, time, maker, best = row
        return Aggregate(
            symbol, _integer(aggregate_id), _decimal(price), _decimal(quantity), _integer(first), _integer(last),
            to_microseconds(_integer(time)), _boolean(maker), _boolean(best),
        )  # fmt: skip

    return parse


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no integer")
    return int(text)


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError(f"{text!r} is neither true nor false")
    return value


def _decimal(text: str) -> str:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no decimal number")
    return text


class _TradeMessage(msgspec.Struct, tag_field="e", tag="trade"):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    M: bool = True


class _AggregateMessage(msgspec.Struct, tag_field="e", tag="aggTrade"):
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  # the exchange's name
    T: int
    m: bool
    M: bool = True


class _Envelope(msgspec.Struct):
    stream: str
    data: _TradeMessage | _AggregateMessage


_decode_message = msgspec.json.Decoder(_Envelope).decode


def stream_row(row: list[str]) -> Record:
    """Return the trade of a recorded combined-stream message, which it keeps as it is."""
    received, message = row
    _integer(received)  # checked, not used: the clock of a replay is the trades' own
    data = _decode_message(message).data
    time = to_microseconds(data.T)
    if isinstance(data, _TradeMessage):
        return Trade(data.s, data.t, data.p, data.q, time, data.m, data.M, message)
    return Aggregate(data.s, data.a, data.p, data.q, data.f, data.l, time, data.m, data.M, message)


def kline_row(row: list[str]) -> Kline:
    """Return the one-minute kline of a row."""
    open_time, opened, high, low, close, volume, close_time, quote, trades, taker, taker_quote, _ignored = row
    begin, end = to_microseconds(_integer(open_time)), to_microseconds(_integer(close_time))
    if begin % MINUTE or not begin < end < begin + MINUTE:
        raise ValueError(f"{open_time} to {close_time} is not one minute")
    return Kline(
        open_time=begin,
        length=MINUTE,
        open=Decimal(_decimal(opened)),
        high=Decimal(_decimal(high)),
        low=Decimal(_decimal(low)),
        close=Decimal(_decimal(close)),
        volume=Decimal(_decimal(volume)),
        quote_volume=Decimal(_decimal(quote)),
        trades=_integer(trades),
        taker_buy_volume=Decimal(_decimal(taker)),
        taker_buy_quote_volume=Decimal(_decimal(taker_quote)),
    )
