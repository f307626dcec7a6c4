"""Connected clients, each with a bounded queue, and who follows which stream."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.websockets import WebSocketDisconnect

from crypto_analytics.api import metrics
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.streams import Stream

MOST_QUEUED = 1_000
"""Messages. A client with more of them in its queue is slow, and is dropped."""


class Client:
    """A connection's queue. A client that reads too slowly is dropped: nothing waits for it."""

    def __init__(self, transport: str, form: Callable[[Pushed], Any], most: int = MOST_QUEUED) -> None:
        """Send ``form`` of each message over ``transport`` ("websocket" or "sse")."""
        self.transport = transport
        self.streams: set[Stream] = set()
        self.is_slow = False
        self._form = form
        self._most = most
        self._queue: deque[Pushed] = deque()
        self._wake = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._messages = metrics.PUSH_MESSAGES.labels(transport)

    def offer(self, message: Pushed) -> None:
        """Queue a message, or drop the client if its queue is full."""
        if self.is_slow:
            return
        if len(self._queue) < self._most:
            self._queue.append(message)
            self._wake.set()
            return
        self.is_slow = True
        self._queue.clear()
        metrics.PUSH_DROPPED.labels(self.transport).inc()
        if self._sender is not None:
            self._sender.cancel()

    async def serve(self, send: Callable[[Any], Awaitable[None]], *others: Coroutine[Any, Any, Any]) -> None:
        """Send what is queued, until the client is slow or has gone, or one of ``others`` ends; end those then too.

        Raises what any of them raises, except that the client has gone.
        """
        self._sender = asyncio.create_task(self._send_all(send))
        tasks = [self._sender, *map(asyncio.create_task, others)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | OSError):
                raise result

    async def _send_all(self, send: Callable[[Any], Awaitable[None]]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                message = self._queue.popleft()
                await send(self._form(message))
                self._messages.inc()
                metrics.PUSH_SECONDS.observe(time.monotonic() - message.arrived)


class _Leaves(Protocol):
    def leave(self, client: Client, streams: None = None) -> None: ...


@contextmanager
def connected(live: _Leaves, client: Client) -> Iterator[None]:
    """Count a client while it is connected, and let it leave its streams at the end."""
    number = metrics.PUSH_CLIENTS.labels(client.transport)
    number.inc()
    try:
        yield
    finally:
        number.dec()
        live.leave(client)


class Hub:
    """Who follows which stream."""

    def __init__(self) -> None:
        self._clients: dict[str, dict[Stream, set[Client]]] = {}

    def follow(self, client: Client, streams: Iterable[Stream]) -> None:
        """Add streams to a client's."""
        for stream in streams:
            self._clients.setdefault(stream.symbol, {}).setdefault(stream, set()).add(client)
            client.streams.add(stream)

    def leave(self, client: Client, streams: Iterable[Stream]) -> None:
        """Remove streams from a client's; those that it does not follow are ignored."""
        for stream in client.streams.intersection(streams):
            client.streams.discard(stream)
            of_symbol = self._clients[stream.symbol]
            of_symbol[stream].discard(client)
            if not of_symbol[stream]:
                del of_symbol[stream]
            if not of_symbol:
                del self._clients[stream.symbol]

    def streams(self, symbol: str) -> list[Stream]:
        """Return the streams of a symbol (in lower case) that somebody follows."""
        return list(self._clients.get(symbol, ()))

    def symbols_with(self, kind: str) -> list[str]:
        """Return the symbols of the followed streams of a kind."""
        return [symbol for symbol, streams in self._clients.items() if any(stream.kind == kind for stream in streams)]

    def publish(self, message: Pushed) -> None:
        """Queue a message for each client of its stream."""
        for client in self._clients.get(message.stream.symbol, {}).get(message.stream, ()):
            client.offer(message)
