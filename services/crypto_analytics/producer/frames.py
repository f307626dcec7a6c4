"""Classify the frames of the combined stream: a trade, another event of the exchange, or a bad value. Pure.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. The frame is decoded once into
its envelope; :func:`crypto_analytics.binance.trade_decoder.decode_one` validates the trade object inside, whose bytes
are kept as received.
"""

import msgspec

from crypto_analytics.binance.trade_decoder import (
    FUTURES,
    MAX_AGGREGATED,
    MAX_TRADE_ID,
    SPOT_ONLY,
    BadTrade,
    Rules,
    decode_one,
)
from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.core.trades import Trade

# A trade object has about 150 bytes. A larger frame than this would still fit into a Kafka record, but is no trade.
MAX_FRAME_BYTES = 16_384

# The event's name; the stream that carries it is `!serverShutdown`. Either name is accepted as event and as stream.
SERVER_SHUTDOWN = "serverShutdown"
_SHUTDOWN_NAMES = frozenset({SERVER_SHUTDOWN, f"!{SERVER_SHUTDOWN}"})
_SHUTDOWN_STREAMS = frozenset(f'"{name}"'.encode() for name in _SHUTDOWN_NAMES)
REPLY = "reply"

# Other market-data events of the exchange. The producer subscribes to none of them.
_OTHER_EVENTS = frozenset(
    {
        "24hrMiniTicker",
        "24hrTicker",
        "avgPrice",
        "blockTrade",
        "bookTicker",
        "depthUpdate",
        "kline",
        "referencePrice",
    }
)

# Events that only the futures markets have.
_FUTURES_EVENTS = frozenset(
    {
        "assetIndexUpdate",
        "compositeIndex",
        "continuous_kline",
        "contractInfo",
        "forceOrder",
        "indexPriceUpdate",
        "indexPrice_kline",
        "markPriceUpdate",
        "markPrice_kline",
    }
)


class Ignored(msgspec.Struct, frozen=True):
    """A valid frame without a trade; ``kind`` is the event's name, or "reply" for the reply to a request."""

    kind: str


FrameContent = tuple[str, Trade] | Ignored | BadTrade


class _Envelope(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw(b"")
    stream: msgspec.Raw = msgspec.Raw(b"")


class _Event(msgspec.Struct, gc=False):
    e: str = ""


class _Reply(msgspec.Struct, gc=False):
    id: int | str | None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _Ids(msgspec.Struct, gc=False):
    s: str = ""
    t: int | None = None
    f: int | None = None
    l: int | None = None  # noqa: E741  # the exchange's name


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_ids = msgspec.json.Decoder(_Ids).decode


def classify(frame: bytes, rules: Rules) -> FrameContent:
    """Return (symbol, trade with its bytes as received), :class:`Ignored`, or the reason why ``frame`` is bad."""
    if len(frame) > MAX_FRAME_BYTES:
        return BadTrade("too_large", f"a frame of {len(frame)} bytes; trades have about 150")
    envelope = _Envelope()
    try:
        envelope = _decode_envelope(frame)
        value = bytes(envelope.data)
        return decode_one(value, rules) if value else _without_data(frame, envelope)
    except BadTrade as error:
        bad = error
    except msgspec.ValidationError as error:
        bad = BadTrade("wrong_shape", str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        bad = BadTrade("not_json", str(error))
    except RecursionError:
        bad = BadTrade("not_json", "nested too deeply")
    return _without_trade(envelope, bad)


def _without_trade(envelope: _Envelope, bad: BadTrade) -> FrameContent:
    """Classify a frame without a valid trade: another event of the exchange, or ``bad``."""
    kind = _event_of(bytes(envelope.data))
    if kind in _SHUTDOWN_NAMES or (not kind and bytes(envelope.stream) in _SHUTDOWN_STREAMS):
        return Ignored(SERVER_SHUTDOWN)
    if kind in _FUTURES_EVENTS:
        return BadTrade(FUTURES, f"this is a futures event, {kind}; {SPOT_ONLY}")
    return Ignored(kind) if kind in _OTHER_EVENTS else bad


def _without_data(frame: bytes, envelope: _Envelope) -> FrameContent:
    """Classify a frame without ``data``: a reply to a request (``{"result":null,"id":1}``), or bad.

    The notice of a shutdown belongs to the connection, not to a stream, so it is accepted without an envelope too.
    """
    if _event_of(frame) in _SHUTDOWN_NAMES or bytes(envelope.stream) in _SHUTDOWN_STREAMS:
        return Ignored(SERVER_SHUTDOWN)
    try:
        reply = _decode_reply(frame)
    except msgspec.ValidationError:
        return BadTrade("wrong_shape", "a combined stream's frame has `stream` and `data`")
    if bytes(reply.result) or bytes(reply.error):
        return Ignored(REPLY)
    return BadTrade("wrong_shape", "a reply has `result` or `error` beside its `id`")


def _event_of(value: bytes) -> str:
    """Return the name of the event in ``value``; an empty string if it has none."""
    try:
        return _decode_event(value).e
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def readable_ids(value: bytes) -> tuple[str, IdRange] | None:
    """Return the symbol and the trade ids of a bad trade object or of the frame around it; None if unreadable."""
    try:
        trade = bytes(_decode_envelope(value).data) or value
        named = _decode_ids(trade)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    first, last = (named.f, named.l) if named.t is None else (named.t, named.t)
    if not named.s or first is None or last is None or not 0 <= first <= last <= MAX_TRADE_ID:
        return None
    if last - first >= MAX_AGGREGATED:
        return None
    return named.s, IdRange(first, last)
