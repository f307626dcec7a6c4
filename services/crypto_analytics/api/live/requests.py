"""Requests of a WebSocket client, with the exchange's answers: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, and so on.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from crypto_analytics.api.live.streams import Stream, UnknownStream, parse
from crypto_analytics.api.time_unit import MICROSECOND, MILLISECOND, Unit

MOST_STREAMS = 1_024
MOST_REQUESTS = 5
"""Requests a second."""
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_LONGEST_ID = 36


class Effect(NamedTuple):
    """What a request does: the answer, the streams to follow and to leave, and the envelope if it changes."""

    answer: str
    follow: Sequence[Stream] = ()
    leave: Sequence[Stream] = ()
    has_envelope: bool | None = None


class Refused(Exception):
    """The request is not valid; has the exchange's code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def handle(text: str, followed: set[Stream], unit: Unit = MILLISECOND, *, has_envelope: bool) -> Effect:
    """Return what the request ``text`` does for a client that follows ``followed``.

    New streams have times in ``unit``. Pure; never raises.
    """
    number: object = None
    try:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise Refused(3, f"Invalid JSON: expected value{where}") from None
        if not isinstance(request, dict):
            raise Refused(2, "Invalid request: expected an object with method, params and id")
        number = _id_of(request)
        return _apply(request, number, followed, unit, has_envelope=has_envelope)
    except Refused as refused:
        return Effect(_text({"error": {"code": refused.code, "msg": str(refused)}, "id": number}))
    except UnknownStream as unknown:
        return Effect(_text({"error": {"code": 2, "msg": f"Invalid request: {unknown}"}, "id": number}))


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _result(value: object, number: object) -> str:
    return _text({"result": value, "id": number})


def _id_of(request: dict[str, Any]) -> object:
    number = request.get("id")
    is_integer = isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**64
    if number is None or is_integer or (isinstance(number, str) and len(number) <= _LONGEST_ID):
        return number
    raise Refused(2, "Invalid request: request ID must be an unsigned integer, or a string of at most 36 characters")


def _apply(request: dict[str, Any], number: object, followed: set[Stream], unit: Unit, *, has_envelope: bool) -> Effect:
    method, params = request.get("method"), request.get("params") or []
    if method not in _METHODS:
        raise Refused(2, f"Invalid request: unknown variant {str(method)[:40]}, expected one of {', '.join(_METHODS)}")
    if not isinstance(params, list):
        raise Refused(2, "Invalid request: params must be a list")
    if method == "LIST_SUBSCRIPTIONS":
        return Effect(_result(sorted(stream.name for stream in followed), number))
    if method in ("GET_PROPERTY", "SET_PROPERTY"):
        return _apply_property(params, number, is_new=method == "SET_PROPERTY", has_envelope=has_envelope)
    if not all(isinstance(name, str) for name in params):
        raise Refused(2, "Invalid request: names of streams are strings")
    streams = parse_all(params, unit)
    if method == "UNSUBSCRIBE":
        return Effect(_result(None, number), leave=streams)
    if len(followed.union(streams)) > MOST_STREAMS:
        raise Refused(2, f"Invalid request: more than {MOST_STREAMS} streams")
    return Effect(_result(None, number), follow=[stream for stream in streams if stream not in followed])


def _apply_property(params: list[Any], number: object, *, is_new: bool, has_envelope: bool) -> Effect:
    match params:
        case ["combined"] if not is_new:
            return Effect(_result(has_envelope, number))
        case ["combined", bool(value)] if is_new:
            return Effect(_result(None, number), has_envelope=value)
        case ["combined", _] if is_new:
            raise Refused(1, "Invalid value type: expected Boolean")
        case _:
            raise Refused(0, "Unknown property")


def parse_all(names: list[str], unit: Unit) -> list[Stream]:
    """Return the streams of ``names``, each once, with times in ``unit``.

    Raises:
        UnknownStream: one of them does not exist.
        Refused: they are too many.
    """
    if len(names) > MOST_STREAMS:
        raise Refused(2, f"Invalid request: more than {MOST_STREAMS} streams")
    return list(dict.fromkeys(parse(name, unit) for name in names))


def parse_unit(name: str) -> Unit:
    """Return the unit of the parameter ``timeUnit``. Raises Refused for another one."""
    units = {"MILLISECOND": MILLISECOND, "MICROSECOND": MICROSECOND}
    if (unit := units.get(name.upper())) is None:
        raise Refused(2, "Invalid request: timeUnit is MILLISECOND or MICROSECOND")
    return unit


class RequestRate:
    """Counts the requests of the last second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: deque[float] = deque()

    def is_exceeded(self) -> bool:
        """Count a request; return whether there were too many in the second before it."""
        now = self._now()
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) > MOST_REQUESTS
