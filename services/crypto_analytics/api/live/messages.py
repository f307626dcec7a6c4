"""What is pushed, in the exchange's form and as server-sent events, encoded once for all clients."""

import json
from functools import cached_property
from typing import Any

from crypto_analytics.api.intervals import Calendar
from crypto_analytics.api.live.bars import Bar
from crypto_analytics.api.live.sockets import frame
from crypto_analytics.api.live.streams import Stream
from crypto_analytics.core.decimals import format_scaled

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


def kline(symbol: str, calendar: Calendar, start: int, bar: Bar, *, is_closed: bool, now: int) -> str:
    """Return the payload of ``<symbol>@kline_<interval>``. Times are microseconds."""
    return _text(
        {
            "e": "kline",
            "E": now // _MILLISECOND,
            "s": symbol,
            "k": {
                "t": start // _MILLISECOND,
                "T": calendar.end_of(start) // _MILLISECOND - 1,
                "s": symbol,
                "i": calendar.interval.name,
                "f": bar.first_trade_id,
                "L": bar.last_trade_id,
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


def aggregated(trade: bytes) -> str:
    """Return a trade as an aggregated trade of itself, the payload of ``<symbol>@aggTrade``."""
    fields = json.loads(trade)
    number = fields["t"]
    own = {"e": "aggTrade", "E": fields["E"], "s": fields["s"], "a": number, "p": fields["p"], "q": fields["q"]}
    return _text({**own, "f": number, "l": number, "T": fields["T"], "m": fields["m"], "M": fields["M"]})


def mini_ticker(symbol: str, bar: Bar, now: int) -> str:
    """Return the payload of ``<symbol>@miniTicker``, the rolling 24 hours."""
    return _text(
        {
            "e": "24hrMiniTicker",
            "E": now // _MILLISECOND,
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
