"""Connected clients, each with a bounded buffer, and who follows which stream."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from crypto_analytics.api import metrics, tasks
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.sockets import FrameSocket
from crypto_analytics.api.live.streams import Stream

MOST_QUEUED = 1_000
"""Events; a client of server-sent events with more of them in its queue is slow."""


class Client(ABC):
    """A connected client. One that reads too slowly is dropped: nothing waits for it."""

    transport: str

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.is_slow = False

    def offer(self, message: Pushed) -> None:
        """Pass a message on without waiting, or drop the client."""
        if not self.is_slow and not self._take(message):
            self.is_slow = True
            metrics.PUSH_DROPPED.labels(self.transport).inc()
            self._drop()

    @abstractmethod
    def _take(self, message: Pushed) -> bool:
        """Return whether the client is fast enough."""

    @abstractmethod
    def _drop(self) -> None: ...


class SocketClient(Client):
    """A WebSocket. Messages have envelopes or not."""

    transport = "websocket"

    def __init__(self, socket: FrameSocket, *, has_envelope: bool) -> None:
        super().__init__()
        self.has_envelope = has_envelope
        self._socket = socket

    def _take(self, message: Pushed) -> bool:
        return self._socket.write(message.combined if self.has_envelope else message.raw)

    def _drop(self) -> None:
        self._socket.abort()


class EventClient(Client):
    """A client of server-sent events, with a bounded queue."""

    transport = "sse"

    def __init__(self, most: int = MOST_QUEUED) -> None:
        super().__init__()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(most)
        self._dropped = asyncio.Event()

    def _take(self, message: Pushed) -> bool:
        if self._queue.full():
            return False
        self._queue.put_nowait(message.event)
        return True

    def _drop(self) -> None:
        self._dropped.set()

    async def serve(self, send: Callable[[bytes], Awaitable[None]], *others: Coroutine[Any, Any, Any]) -> None:
        """Send what is queued, until the client is dropped or has gone, or one of ``others`` ends; end those then too.

        Raises what any of them raises, except that the client has gone.
        """
        running = list(map(asyncio.create_task, (self._send_all(send), self._dropped.wait(), *others)))
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.end(running)
            results = await asyncio.gather(*running, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                raise result

    async def _send_all(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            await send(await self._queue.get())


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
        clients = self._clients.get(message.stream.symbol, {}).get(message.stream)
        if clients:
            for client in clients:
                client.offer(message)
            # All clients of a stream have the same transport: candle and status are of server-sent events only.
            metrics.PUSH_MESSAGES.labels(next(iter(clients)).transport).inc(len(clients))
            metrics.PUSH_SECONDS.observe(time.monotonic() - message.arrived)
