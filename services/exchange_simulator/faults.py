"""Scripted faults: their kinds, their time, and their JSON form.

    [{"type": "drop", "at": 1000}, {"type": "gap", "count": 5, "rest_missing": 3}, {"type": "rest", "status": 429}]

``at`` is the number of played trades after which a stream fault happens or a REST fault is armed. Without ``at`` it is
applied at once.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
At = Annotated[int, Meta(ge=0)]
MAX_DUPLICATES = 10_000


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="drop"):
    """All connections break without a closing handshake."""

    at: At | None = None


class Stall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stall"):
    """The open connections get no data for ``seconds``; pings are still answered."""

    seconds: Seconds
    at: At | None = None


class Duplicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="duplicate"):
    """The last ``count`` trades are sent again."""

    count: Annotated[int, Meta(ge=1, le=MAX_DUPLICATES)]
    at: At | None = None


class Reorder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reorder"):
    """The next ``count`` trades are sent in an order shuffled with ``seed``."""

    count: Count
    seed: int = 0
    at: At | None = None


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="gap"):
    """The next ``count`` trades are not streamed; REST lacks them too for ``rest_missing`` seconds, or for ever."""

    count: Count
    rest_missing: Seconds | Literal["forever"] = 0.0
    at: At | None = None


class Malformed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="malformed"):
    """``count`` malformed frames are sent between the trades."""

    kind: Literal["not_json", "wrong_types", "empty_frame", "large_frame", "unknown_symbol", "binary"]
    count: Count = 1
    at: At | None = None


class ServerShutdown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="server_shutdown"):
    """The exchange's shutdown notice is sent, and the connections are closed after ``close_after`` seconds."""

    close_after: Seconds = 10.0
    at: At | None = None


class RestStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="rest"):
    """The next ``count`` REST requests below ``path`` fail; ``retry_after`` seconds go with 429 and 418."""

    status: Literal[418, 429, 451, 500]
    count: Count = 1
    path: str = "/"
    retry_after: Annotated[int, Meta(ge=0, le=86_400)] = 1
    at: At | None = None


class RestSlow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="rest_slow"):
    """The next ``count`` REST requests below ``path`` take ``seconds`` longer."""

    seconds: Seconds
    count: Count = 1
    path: str = "/"
    at: At | None = None


StreamFault = Drop | Stall | Duplicate | Reorder | Gap | Malformed | ServerShutdown
RestFault = RestStatus | RestSlow
Fault = StreamFault | RestFault

_decode_list = msgspec.json.Decoder(list[Fault]).decode


class InvalidFaults(ValueError):
    """A script of faults is invalid; the message has the place and the cause."""


def decode_faults(script: str | bytes) -> list[Fault]:
    """Return the faults of a JSON list; none for an empty script.

    Raises:
        InvalidFaults: it is not JSON, not a list, or a fault has an invalid or unknown field.
    """
    if not script.strip():
        return []
    try:
        return _decode_list(script)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidFaults(f"faults: {error}") from error


def name_of(fault: Fault) -> str:
    """Return the fault's ``type``."""
    return str(fault.__struct_config__.tag)


class ArmedRestFaults:
    """REST faults in the order in which they were armed, each with the number of requests that it still affects."""

    def __init__(self) -> None:
        self._armed: list[tuple[RestFault, int]] = []

    def arm(self, fault: RestFault) -> None:
        """Let ``fault`` affect the next requests of its path."""
        self._armed.append((fault, fault.count))

    def take(self, path: str) -> RestFault | None:
        """Return the fault that affects a request of ``path``, and count the request; None without one."""
        for index, (fault, left) in enumerate(self._armed):
            if path.startswith(fault.path):
                self._armed[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                return fault
        return None
