"""Parse a row of a recording as a trade, an aggregated trade or a kline.

An invalid row raises a ValueError with the cell's text and the name of its column.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from exchange_simulator.klines import Kline
from exchange_simulator.recording_names import ArchiveKind
from exchange_simulator.symbols import SYMBOL_RULE, is_symbol
from exchange_simulator.times import MINUTE, to_microseconds
from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade

COLUMNS: dict[ArchiveKind, tuple[str, ...]] = {
    "trades": ("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"),
    "aggTrades": ("id", "price", "qty", "firstId", "lastId", "time", "isBuyerMaker", "isBestMatch"),
    "klines": (
        "openTime", "open", "high", "low", "close", "volume", "closeTime", "quoteVolume", "count", "takerBuyVolume",
        "takerBuyQuoteVolume", "ignore",
    ),
}  # fmt: skip

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_INTEGER = re.compile(r"[0-9]{1,18}")  # always fits into 64 bits
_DIGITS = re.compile(r"[0-9]{1,100}")
_ZERO = re.compile(r"0+(\.0+)?")
_BOOLEANS = {"true": True, "false": False}
# Times in seconds and nanoseconds have other lengths. They are refused: as milliseconds they would be in another year.
_MILLISECONDS = range(10**11, 10**13)  # 1973 to 2286
_MICROSECONDS = range(10**14, 10**16)
_SHOWN = 60  # characters of a cell in a message


def trade_row(symbol: str, row: Sequence[str]) -> Trade:
    """Return the trade of a row of a ``trades`` archive."""
    trade_id, price, quantity, quote, time, maker, best = row
    number, price, quantity = _integer("id", trade_id), _decimal("price", price), _decimal("qty", quantity)
    _decimal("quoteQty", quote)  # validated but not used: a damaged row can have any invalid cell
    return Trade(
        symbol, number, price, quantity, _time("time", time), _boolean("isBuyerMaker", maker),
        _boolean("isBestMatch", best),
    )  # fmt: skip


def aggregate_row(symbol: str, row: Sequence[str]) -> AggregateTrade | None:
    """Return the aggregated trade of a row of an ``aggTrades`` archive.

    None for a void row: the exchange cancelled the trades and left price and quantity 0 and the trade ids -1.
    """
    aggregate_id, price, quantity, first, last, time, maker, best = row
    number, price, quantity = (
        _integer("id", aggregate_id),
        _decimal("price", price),
        _decimal("qty", quantity),
    )
    is_void = first == last == "-1" and bool(_ZERO.fullmatch(price) and _ZERO.fullmatch(quantity))
    first_id, last_id = (-1, -1) if is_void else (_integer("firstId", first), _integer("lastId", last))
    if first_id > last_id:
        raise ValueError(f"{first!r} is greater than the last trade id {last!r} (column firstId)")
    aggregate = AggregateTrade(
        symbol, number, price, quantity, first_id, last_id, _time("time", time),
        _boolean("isBuyerMaker", maker), _boolean("isBestMatch", best),
    )  # fmt: skip
    return None if is_void else aggregate


def kline_row(row: Sequence[str]) -> Kline:
    """Return the one-minute kline of a row."""
    open_time, opened, high, low, close, volume, close_time, quote, trades, taker, taker_quote, ignored = row
    begin = _time("openTime", open_time)
    first, highest, lowest, last, total = (
        Decimal(_decimal(column, cell))
        for column, cell in (("open", opened), ("high", high), ("low", low), ("close", close), ("volume", volume))
    )
    end = _time("closeTime", close_time)
    if begin % MINUTE:
        raise ValueError(f"{open_time} to {close_time} is not one minute (column openTime)")
    if not begin < end < begin + MINUTE:
        raise ValueError(f"{open_time} to {close_time} is not one minute (column closeTime)")
    kline = Kline(
        open_time=begin,
        length=MINUTE,
        open=first,
        high=highest,
        low=lowest,
        close=last,
        volume=total,
        quote_volume=Decimal(_decimal("quoteVolume", quote)),
        trades=_integer("count", trades),
        taker_buy_volume=Decimal(_decimal("takerBuyVolume", taker)),
        taker_buy_quote_volume=Decimal(_decimal("takerBuyQuoteVolume", taker_quote)),
    )
    _decimal("ignore", ignored)
    return kline


def futures_archive(row: Sequence[str]) -> str | None:
    """Return the kind of futures archive that has rows like ``row``, None if there is none.

    Futures archives lack the spot archives' last column (isBestMatch): ``trades`` have 6 columns, ``aggTrades`` 7.
    Klines have the same 12 columns in all markets and cannot be distinguished.
    """
    if len(row) not in (6, 7) or row[-1].lower() not in _BOOLEANS or _INTEGER.fullmatch(row[-2]) is None:
        return None
    if not _is_time(int(row[-2])):
        return None
    return "trades" if len(row) == 6 else "aggTrades"


def _integer(column: str, cell: str) -> int:
    if _INTEGER.fullmatch(cell) is None:
        raise _wrong(column, cell, "is no integer")
    return int(cell)


def _time(column: str, cell: str) -> int:
    if _DIGITS.fullmatch(cell) is None:
        raise _wrong(column, cell, "is no integer")
    time = int(cell)
    if not _is_time(time):
        raise _wrong(column, cell, "is no time in milliseconds or microseconds since 1970")
    return to_microseconds(time)


def _is_time(time: int) -> bool:
    return time in _MILLISECONDS or time in _MICROSECONDS


def _boolean(column: str, cell: str) -> bool:
    value = _BOOLEANS.get(cell.lower())
    if value is None:
        raise _wrong(column, cell, "is neither true nor false")
    return value


def _decimal(column: str, cell: str) -> str:
    if _DECIMAL.fullmatch(cell) is None:
        raise _wrong(column, cell, "is no decimal number")
    return cell


def _wrong(column: str, cell: str, reason: str) -> ValueError:
    shown = cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}..."
    return ValueError(f"{shown!r} {reason} (column {column})")


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


def stream_parser() -> Callable[[Sequence[str]], AnyTrade]:
    """Return a parser of a recorded stream's rows: receive time and combined-stream message, which is kept."""
    symbols: set[str] = set()

    def parse(row: Sequence[str]) -> AnyTrade:
        received, message = row
        _integer("receive time", received)  # validated but not used: the clock of a replay is the trade time
        data = _decode_message(message).data
        if data.s not in symbols:
            if not is_symbol(data.s):
                raise ValueError(f"{data.s[:_SHOWN]!r} is not a valid symbol ({SYMBOL_RULE}; column message.s)")
            symbols.add(data.s)
        time = to_microseconds(data.T)
        if isinstance(data, _TradeMessage):
            return Trade(data.s, data.t, data.p, data.q, time, data.m, data.M, message)
        return AggregateTrade(data.s, data.a, data.p, data.q, data.f, data.l, time, data.m, data.M, message)

    return parse
