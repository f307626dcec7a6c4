"""Shared by the tests of the WebSocket client: a server that plays a script, and a listener that records calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers

from crypto_analytics.binance.stream_connection import Cause, StreamPolicy
from crypto_analytics.binance.trade_stream import TradeStream

SHUTDOWN = b'{"data":{"e":"serverShutdown"}}'
QUICK = StreamPolicy(stall=0.2, hand_over=3600, overlap=1, pong=0.2, open=2)

Script = Callable[[ServerConnection, int], Awaitable[None]]


@dataclass
class Recorder:
    """A listener that records its calls."""

    behind: bool = False
    frames: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    events: list[tuple[str, Cause]] = field(default_factory=list)
    symbols: list[tuple[str, ...]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        if self.error is not None:
            raise self.error
        self.frames.append(frame)
        self.times.append(received_at)
        self.changed.set()
        return frame == SHUTDOWN

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        self.events.append(("connected", cause))
        self.symbols.append(tuple(symbols))
        self.changed.set()

    def on_disconnected(self, symbols: Sequence[str], cause: Cause) -> None:
        self.events.append(("disconnected", cause))
        self.changed.set()

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        return self.behind

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


class Server:
    """A WebSocket server that plays ``script(connection, number of the connection)``."""

    def __init__(self, script: Script, answers: list[tuple[int, dict[str, str]]] | None = None) -> None:
        self.script = script
        self.answers = answers or []
        self.paths: list[str] = []
        self.asked_at: list[float] = []  # monotonic
        self.open = 0
        self.most_open = 0

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.asked_at.append(time.monotonic())
        if not self.answers:
            return None
        status, headers = self.answers.pop(0)
        return Response(status, HTTPStatus(status).phrase, Headers(headers), b"")

    async def handle(self, connection: ServerConnection) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.script(connection, len(self.paths))
        finally:
            self.open -= 1


@asynccontextmanager
async def following(
    server: Server, listener: Recorder, policy: StreamPolicy = QUICK, symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT")
) -> AsyncIterator["asyncio.Task[None]"]:
    async with serve(
        server.handle, "127.0.0.1", 0, process_request=server.refuse, ping_interval=None, close_timeout=0.5
    ) as listening:
        port = listening.sockets[0].getsockname()[1]
        stream = TradeStream(f"ws://127.0.0.1:{port}/", symbols, listener, policy=policy, random=Random(1))
        task = asyncio.create_task(stream.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
