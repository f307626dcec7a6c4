"""What is pushed, in the exchange's form and as server-sent events, encoded once for all clients."""

import json
from functools import cached_property
from typing import Any

from crypto_analytics.api.intervals import Calendar
from crypto_analytics.api.live.bars import Bar
from crypto_analytics.api.live.sockets import frame
from crypto_analytics.api.live.streams import Stream
from crypto_analytics.api.time_unit import Unit
from crypto_analytics.core.decimals import format_scaled
from crypto_analytics.core.minutes import to_microseconds

_MILLISECOND = 1_000
_TRUNCATED = 10**8  # the exchange's quote volumes have 8 decimals, ours 16


class Pushed:
    """A message to all clients of a stream. ``arrived`` is the monotonic time at which its cause was noticed."""

    def __init__(self, stream: Stream, payload: str, arrived: float) -> None:
        self.stream = stream
        self.payload = payload
        self.arrived = arrived

    @cached_property
    def raw(self) -> bytes:
        """Return the frame for WebSockets without envelopes."""
        return frame(self.payload)

    @cached_property
    def combined(self) -> bytes:
        """Return the frame for WebSockets with envelopes."""
        name = json.dumps(self.stream.name, ensure_ascii=False)
        return frame(f'{{"stream":{name},"data":{self.payload}}}')

    @cached_property
    def event(self) -> bytes:
        """Return the server-sent event."""
        return f"event: {self.stream.kind}\ndata: {self.payload}\n\n".encode()


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _quote(value: int) -> str:
    return format_scaled(value // _TRUNCATED)


def kline(symbol: str, calendar: Calendar, start: int, bar: Bar, *, is_closed: bool, now: int, unit: Unit) -> str:
    """Return the payload of ``<symbol>@kline_<interval>`` with times in ``unit``; ``start`` and ``now`` are in µs."""
    return _text(
        {
            "e": "kline",
            "E": unit.of(now),
            "s": symbol,
            "k": {
                "t": unit.of(start),
                "T": unit.of(calendar.end_of(start)) - 1,
                "s": symbol,
                "i": calendar.interval.name,
                "f": -1 if bar.first_trade_id is None else bar.first_trade_id,
                "L": -1 if bar.last_trade_id is None else bar.last_trade_id,
                "o": format_scaled(bar.open),
                "c": format_scaled(bar.close),
                "h": format_scaled(bar.high),
                "l": format_scaled(bar.low),
                "v": format_scaled(bar.volume),
                "n": bar.trade_count,
                "x": is_closed,
                "q": _quote(bar.quote_volume),
                "V": format_scaled(bar.taker_buy_volume),
                "Q": _quote(bar.taker_buy_quote_volume),
                "B": "0",
            },
        }
    )


def trade(value: bytes, unit: Unit) -> str:
    """Return the payload of ``<symbol>@trade``: the stored value with times in ``unit``, not those of the producer."""
    return _text(_event(value, unit))


def aggregated(value: bytes, unit: Unit) -> str:
    """Return the payload of ``<symbol>@aggTrade``: of a trade, an aggregated trade of itself.

    As in ``/api/v3/aggTrades``, its id is that of its first trade, because single trades have no other.
    """
    fields = _event(value, unit)
    if fields["e"] == "aggTrade":
        return _text(fields | {"a": fields["f"]})
    number = fields["t"]
    own = {"e": "aggTrade", "E": fields["E"], "s": fields["s"], "a": number, "p": fields["p"], "q": fields["q"]}
    return _text({**own, "f": number, "l": number, "T": fields["T"], "m": fields["m"], "M": fields["M"]})


def _event(value: bytes, unit: Unit) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(value)
    return fields | {name: unit.of(to_microseconds(fields[name])) for name in ("E", "T")}


def mini_ticker(symbol: str, bar: Bar, now: int, unit: Unit) -> str:
    """Return the payload of ``<symbol>@miniTicker``, the rolling 24 hours, with times in ``unit``."""
    return _text(
        {
            "e": "24hrMiniTicker",
            "E": unit.of(now),
            "s": symbol,
            "c": format_scaled(bar.close),
            "o": format_scaled(bar.open),
            "h": format_scaled(bar.high),
            "l": format_scaled(bar.low),
            "v": format_scaled(bar.volume),
            "q": _quote(bar.quote_volume),
        }
    )


def mini_tickers(payloads: list[str]) -> str:
    """Return the payload of ``!miniTicker@arr`` for the symbols that changed."""
    return f"[{','.join(payloads)}]"


def past_candle(candle: dict[str, Any], *, is_closed: bool) -> str:
    """Return a candle of ``/v1/candles``; it is closed when its stream says so."""
    return _text(candle | {"closed": is_closed, "complete": candle["complete"] and is_closed})


def candle(symbol: str, calendar: Calendar, start: int, bar: Bar, *, is_closed: bool) -> str:
    """Return a candle in the form of ``/v1/candles``, with its realtime numbers."""
    return _text(
        {
            "symbol": symbol,
            "interval": calendar.interval.name,
            "openTime": start // _MILLISECOND,
            "closeTime": calendar.end_of(start) // _MILLISECOND - 1,
            "open": format_scaled(bar.open),
            "high": format_scaled(bar.high),
            "low": format_scaled(bar.low),
            "close": format_scaled(bar.close),
            "volume": format_scaled(bar.volume),
            "quoteVolume": format_scaled(bar.quote_volume, 16),
            "tradeCount": bar.trade_count,
            "takerBuyVolume": format_scaled(bar.taker_buy_volume),
            "takerBuyQuoteVolume": format_scaled(bar.taker_buy_quote_volume, 16),
            "complete": bar.is_complete and is_closed,
            "closed": is_closed,
            "missingIds": bar.missing_id_count,
            "verifiedAbsentIds": bar.verified_absent_count,
            "source": "realtime",
            "reconciled": None,
            "differences": [],
            "revision": bar.revision,
        }
    )


def status(fields: dict[str, Any]) -> str:
    """Return the payload of the event ``status``."""
    return _text(fields)
