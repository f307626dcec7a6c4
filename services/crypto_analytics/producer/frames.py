"""What a frame of the combined stream is: a trade, something that is no trade by design, or bad. Pure.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. The frame is decoded once into
its envelope; the trade object inside is judged by :func:`crypto_analytics.binance.wire.decode_one` and kept as the very
bytes received.
"""

import msgspec

from crypto_analytics.binance.wire import FUTURES, SPOT_ONLY, BadTrade, Rules, decode_one
from crypto_analytics.core.trades import Trade

# A trade object has some 150 bytes. One of this size would still fit into a Kafka record, but it is no trade.
MAX_FRAME_BYTES = 16_384

# The event is called so, and the stream that carries it `!serverShutdown`; either name counts, in either place.
SERVER_SHUTDOWN = "serverShutdown"
_SHUTDOWN_NAMES = frozenset({SERVER_SHUTDOWN, f"!{SERVER_SHUTDOWN}"})
_SHUTDOWN_STREAMS = frozenset(f'"{name}"'.encode() for name in _SHUTDOWN_NAMES)
REPLY = "reply"

# Other market-data events of the exchange: no trades, and none of them was asked for.
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
    """A frame that is no trade by design; ``kind`` is the event's name, or "reply" to a request."""

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


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode


def classify(frame: bytes, rules: Rules) -> FrameContent:
    """Return what ``frame`` is: (symbol, trade with its bytes as received), :class:`Ignored`, or why it is bad."""
    if len(frame) > MAX_FRAME_BYTES:
        return BadTrade("too_large", f"a frame of {len(frame)} bytes; trades have some 150")
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
    """Return what a frame is that holds no good trade: another event of the exchange, or ``bad``."""
    kind = _event_of(bytes(envelope.data))
    if kind in _SHUTDOWN_NAMES or (not kind and bytes(envelope.stream) in _SHUTDOWN_STREAMS):
        return Ignored(SERVER_SHUTDOWN)
    if kind in _FUTURES_EVENTS:
        return BadTrade(FUTURES, f"this is a futures event, {kind}; {SPOT_ONLY}")
    return Ignored(kind) if kind in _OTHER_EVENTS else bad


def _without_data(frame: bytes, envelope: _Envelope) -> FrameContent:
    """Return what a frame without ``data`` is: an answer to a request (``{"result":null,"id":1}``), or bad.

    The notice of a shutdown is the connection's own and counts without an envelope, too.
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
    """Return the name of the event in ``value``, "" where it has none."""
    try:
        return _decode_event(value).e
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
