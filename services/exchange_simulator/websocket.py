"""The WebSocket endpoints: ``/stream?streams=a/b`` with the combined envelope, ``/ws/a`` without it.

The exchange's rules for both (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams): a ping
every 20 seconds, a client that does not answer within a minute is disconnected, streams can be added and removed
while connected, nothing is replayed.
"""

import asyncio
import socket as sockets
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from exchange_simulator.connections import Connection, Hub
from exchange_simulator.frames import View

MAX_STREAMS = 1024
_MAX_REQUEST_BYTES = 64 * 1024
_SEND_BUFFER_BYTES = 256 * 1024  # small, so that the clock is not far ahead of what clients have received
_CLOSE_SECONDS = 2.0


class _Request(msgspec.Struct):
    """A client's request: SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS."""

    method: str
    id: int | str | None = None
    params: list[str] = []


_decode_request = msgspec.json.Decoder(_Request).decode


class Streams:
    """Accepts stream connections into ``hub``; the default ping and pong intervals are the exchange's."""

    def __init__(
        self,
        hub: Hub,
        now: Callable[[], float] = time.monotonic,
        *,
        ping_seconds: float = 20.0,
        pong_seconds: float = 60.0,
    ) -> None:
        self._hub = hub
        self._now = now
        self._ping_seconds = ping_seconds
        self._pong_seconds = pong_seconds

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [web.get("/stream", self._accept), web.get("/ws", self._accept), web.get("/ws/{stream}", self._accept)]

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        view = _view(request)
        socket = web.WebSocketResponse(
            autoping=False, compress=False, timeout=_CLOSE_SECONDS, max_msg_size=_MAX_REQUEST_BYTES
        )
        writer = await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket  # disconnected meanwhile
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SEND_BUFFER_BYTES)

        async def write(data: bytes) -> None:
            # Frames encoded once for all clients go to the socket as they are; the drain is the backpressure.
            await writer.write(data)
            await writer.drain()

        async def close(reason: str) -> None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await socket.close(code=WSCloseCode.GOING_AWAY, message=reason.encode())
            except TimeoutError:  # a client that does not read gets no closing handshake
                transport.abort()

        connection = Connection(view, write=write, abort=transport.abort, close=close, now=self._now)
        self._hub.add(connection)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(connection.pump()),
                    group.create_task(self._keep_alive(socket, connection)),
                ]
                await self._receive_all(socket, connection)
                connection.finish()
                for helper in helpers:
                    helper.cancel()
        finally:
            self._hub.remove(connection)
            connection.finish()
        return socket

    async def _keep_alive(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        """Send pings, and break the connection of a client that has neither read nor sent data for ``pong_seconds``."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            if self._now() - connection.last_alive > self._pong_seconds:
                connection.abort()
                return
            try:
                await socket.ping(str(time.time_ns() // 1_000_000).encode())
            except ConnectionError:
                return

    async def _receive_all(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        """Answer the client's messages until the connection is closed or broken."""
        with suppress(ConnectionError):  # disconnected before the answer was sent
            async for message in socket:
                connection.alive()
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await socket.send_str(msgspec.json.encode(_answer(connection, message.data)).decode())


def _answer(connection: Connection, text: str) -> dict[str, object]:
    """Apply a client's request and return the answer."""
    try:
        request = _decode_request(text)
    except msgspec.DecodeError as error:
        return {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}, "id": None}
    view = connection.view
    match request.method:
        case "SUBSCRIBE":
            streams = view.streams | set(request.params)
            if len(streams) > MAX_STREAMS:
                return {"error": {"code": 2, "msg": f"More than {MAX_STREAMS} streams"}, "id": request.id}
            connection.view = view._replace(streams=streams)
            return {"result": None, "id": request.id}
        case "UNSUBSCRIBE":
            connection.view = view._replace(streams=view.streams - set(request.params))
            return {"result": None, "id": request.id}
        case "LIST_SUBSCRIPTIONS":
            return {"result": sorted(view.streams), "id": request.id}
        case _:
            return {"error": {"code": 2, "msg": f"Invalid request: unknown method {request.method}"}, "id": request.id}


def _view(request: web.Request) -> View:
    unit = request.query.get("timeUnit", "MILLISECOND").upper()
    if unit not in ("MILLISECOND", "MICROSECOND"):
        raise web.HTTPBadRequest(text="timeUnit is MILLISECOND or MICROSECOND\n")
    combined = request.path == "/stream"
    names = request.query.get("streams", "") if combined else request.match_info.get("stream", "")
    streams = frozenset(name for name in names.split("/") if name)
    if len(streams) > MAX_STREAMS:
        raise web.HTTPBadRequest(text=f"a connection has at most {MAX_STREAMS} streams\n")
    return View(streams, combined, unit == "MICROSECOND")
