"""Malformed frames, which a client must tolerate."""

from collections.abc import Callable
from hashlib import shake_128

from exchange_simulator.faults import Malformed
from exchange_simulator.frames import BINARY, Frames, View, frame

UNKNOWN_SYMBOL = "NOSUCHPAIR"
LARGE_BYTES = 1_000_000


def malformed_frames(fault: Malformed, view: View, time: int) -> Frames:
    """Return the frames of ``fault`` for ``view``; ``time`` is the simulator's clock in microseconds."""
    return Frames(_MAKERS[fault.kind](view, time) * fault.count, fault.count)


def _not_json(view: View, time: int) -> bytes:
    return frame(_enveloped(view, b'{"e":"trade","E":')[:-1])


def _wrong_types(view: View, time: int) -> bytes:
    return frame(_enveloped(view, b'{"e":"trade","E":"soon","s":7,"t":"one","p":1.5,"q":null,"T":true,"m":"no","M":0}'))


def _empty_frame(view: View, time: int) -> bytes:
    return frame(b"")


def _large_frame(view: View, time: int) -> bytes:
    around = len(_enveloped(view, b'{"e":"noise","pad":""}'))
    return frame(_enveloped(view, b'{"e":"noise","pad":"%s"}' % (b"x" * (LARGE_BYTES - around))))


def _unknown_symbol(view: View, time: int) -> bytes:
    when = time // (1 if view.microseconds else 1000)
    text = (
        f'{{"e":"trade","E":{when},"s":"{UNKNOWN_SYMBOL}","t":1,"p":"1.00000000","q":"1.00000000","T":{when}'
        ',"m":false,"M":true}'
    )
    return frame(_enveloped(view, text.encode()))


def _binary(view: View, time: int) -> bytes:
    return frame(shake_128(b"noise").digest(64), BINARY)


_MAKERS: dict[str, Callable[[View, int], bytes]] = {
    "not_json": _not_json,
    "wrong_types": _wrong_types,
    "empty_frame": _empty_frame,
    "large_frame": _large_frame,
    "unknown_symbol": _unknown_symbol,
    "binary": _binary,
}


def shutdown_frame(view: View, time: int) -> Frames:
    """Return the exchange's notice that the server will close its connections; it has a stream name of its own.

    https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
    """
    event = b'{"e":"serverShutdown","E":%d}' % (time // (1 if view.microseconds else 1000))
    return Frames(frame(_enveloped(view, event, stream="!serverShutdown")), 1)


def _enveloped(view: View, payload: bytes, stream: str | None = None) -> bytes:
    if not view.combined:
        return payload
    name = stream or min(view.streams, default="")
    return b'{"stream":"%s","data":%s}' % (name.encode(), payload)
