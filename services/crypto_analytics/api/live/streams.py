"""Names of streams: ``btcusdt@kline_1m``, ``btcusdt@kline_1d@+08:00``, ``btcusdt@trade``, ``btcusdt@miniTicker``."""

from typing import Literal, NamedTuple

from crypto_analytics.api.intervals import INTERVALS, Calendar
from crypto_analytics.api.time_unit import MILLISECOND, Unit
from crypto_analytics.core.minutes import MINUTE

Kind = Literal["kline", "trade", "aggTrade", "miniTicker", "candle", "status"]
_OFFSETS = {"": 0, "@+08:00": 8 * 60 * MINUTE}
ALL_MINI_TICKERS = "!miniTicker@arr"
EVERY_SYMBOL = ""


class Stream(NamedTuple):
    """What a client follows. ``symbol`` is in lower case; ``candle`` and ``status`` are of /v1/live only."""

    symbol: str
    kind: Kind
    name: str
    calendar: Calendar | None = None
    unit: Unit = MILLISECOND


class UnknownStream(ValueError):
    """There is no such stream."""


def parse(name: str, unit: Unit = MILLISECOND) -> Stream:
    """Return the stream of a name, with times in ``unit``; letters of the symbol may be of either case.

    Raises:
        UnknownStream: there is none of this name.
    """
    if name == ALL_MINI_TICKERS:
        return Stream(EVERY_SYMBOL, "miniTicker", name, None, unit)
    symbol, _, rest = name.partition("@")
    symbol = symbol.lower()
    if symbol and rest in ("trade", "aggTrade", "miniTicker"):
        return Stream(symbol, rest, f"{symbol}@{rest}", None, unit)  # type: ignore[arg-type]
    interval, at, zone = rest.removeprefix("kline_").partition("@")
    offset = _OFFSETS.get(at + zone)
    if symbol and rest.startswith("kline_") and interval in INTERVALS and offset is not None:
        return Stream(symbol, "kline", f"{symbol}@{rest}", Calendar(INTERVALS[interval], offset), unit)
    raise UnknownStream(
        f"no stream {name[:60]}: there are <symbol>@kline_<interval>, <symbol>@trade, <symbol>@aggTrade, "
        f"<symbol>@miniTicker and {ALL_MINI_TICKERS}"
    )


def candle_stream(symbol: str, interval: str) -> Stream:
    """Return the stream of the events ``candle`` of /v1/live."""
    return Stream(symbol.lower(), "candle", interval, Calendar(INTERVALS[interval]))


def status_stream(symbol: str) -> Stream:
    """Return the stream of the events ``status`` of /v1/live."""
    return Stream(symbol.lower(), "status", "status")
