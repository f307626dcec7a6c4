"""The WebSocket endpoints: ``/ws/<stream>/<stream>``, and with envelopes ``/stream?streams=<stream>/<stream>``.

Times are milliseconds, or microseconds with ``timeUnit=MICROSECOND``. The server (see ``__main__``) sends a ping
every 20 seconds, and ends a connection without an answer for a minute.
"""

import time
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from crypto_analytics.api.live import requests
from crypto_analytics.api.live.clients import SocketClient, connected
from crypto_analytics.api.live.requests import Refused, RequestRate, parse_all, parse_unit
from crypto_analytics.api.live.service import Live
from crypto_analytics.api.live.sockets import FrameSocket
from crypto_analytics.api.live.streams import UnknownStream
from crypto_analytics.api.time_unit import Unit

_UNSUPPORTED_DATA = 1003
_POLICY_VIOLATION = 1008
_LONGEST_REASON = 123  # bytes

UnitName = Annotated[str, Query(alias="timeUnit")]

router = APIRouter()


@router.websocket("/ws")
@router.websocket("/ws/{names:path}")
async def raw(websocket: WebSocket, names: str = "", unit: UnitName = "MILLISECOND") -> None:
    """Send the messages of the streams as they are. A number is no stream: ccxt numbers its connections so."""
    await _serve(websocket, "" if names.isdecimal() else names, unit, has_envelope=False)


@router.websocket("/stream")
async def combined(websocket: WebSocket, streams: str = "", unit: UnitName = "MILLISECOND") -> None:
    """Send each message with the name of its stream."""
    await _serve(websocket, streams, unit, has_envelope=True)


class Connection:
    """One WebSocket, and the requests of its client."""

    def __init__(self, websocket: WebSocket, live: Live, unit: Unit, *, has_envelope: bool) -> None:
        self.client = SocketClient(FrameSocket.of(websocket.scope), has_envelope=has_envelope)
        self._websocket = websocket
        self._live = live
        self._unit = unit
        self._rate = RequestRate(time.monotonic)

    async def receive(self) -> None:
        """Answer the client's requests until it has gone, or is closed for what it sent."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            text = message.get("text")
            if text is None:
                return await self._websocket.close(_UNSUPPORTED_DATA, "send requests as text")
            if self._rate.is_exceeded():
                return await self._websocket.close(_POLICY_VIOLATION, "more than 5 requests a second")
            effect = requests.handle(text, self.client.streams, self._unit, has_envelope=self.client.has_envelope)
            if effect.has_envelope is not None:
                self.client.has_envelope = effect.has_envelope
            self._live.leave(self.client, effect.leave)
            await self._websocket.send_text(effect.answer)
            self._live.follow(self.client, effect.follow)


async def _serve(websocket: WebSocket, names: str, unit_name: str, *, has_envelope: bool) -> None:
    try:
        unit = parse_unit(unit_name)
        streams = parse_all([name for name in names.split("/") if name], unit)
    except (Refused, UnknownStream) as error:
        # A reason that clients can read, browsers too, which an HTTP error before the handshake has not.
        await websocket.accept()
        await websocket.close(_POLICY_VIOLATION, str(error).encode()[:_LONGEST_REASON].decode(errors="ignore"))
        return
    live: Live = websocket.app.state.live
    await websocket.accept()
    connection = Connection(websocket, live, unit, has_envelope=has_envelope)
    with connected(live, connection.client):
        live.follow(connection.client, streams)
        with suppress(WebSocketDisconnect):
            await connection.receive()
