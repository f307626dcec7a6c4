"""One WebSocket connection of a combined stream: its reader and its watchdog.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (General WSS information).
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from crypto_analytics.runtime.clock import wall_clock

Cause = Literal["start", "closed", "stalled", "no_pong", "frame_too_large", "hand_over", "server_shutdown"]


class Listener(Protocol):
    """The receiver of frames and connection events. An error that it raises ends the stream."""

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        """Handle a frame received at ``received_at`` (microseconds since the epoch).

        The next frame is read after this returns: waiting here applies backpressure. Return True to have the connection
        replaced at once: the server announced its shutdown, or a symbol was listed after the connection was opened.
        """
        ...

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Handle a new connection for ``symbols``; ``cause`` is the reason for opening it."""
        ...

    def on_disconnected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Handle the loss of the connection: no frame comes for ``symbols`` until the next ``on_connected``."""
        ...

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        """Return whether the exchange has newer trades than those received: a stalled stream, not a quiet market."""
        ...


@dataclass(frozen=True)
class StreamPolicy:
    """Time limits of a connection in seconds, and its size limits.

    ``stall``: silence before the connection is probed. ``hand_over``: age at which it is replaced, before the exchange
    closes it after 24 hours. ``overlap``: longest wait for the first frame of its replacement. ``pong``: longest wait
    for the answer to a ping. ``open``: longest wait for the opening handshake.
    """

    stall: float = 30.0
    hand_over: float = 23.5 * 3600
    overlap: float = 10.0
    pong: float = 10.0
    open: float = 10.0
    streams_per_connection: int = 400
    max_frame_bytes: int = 4 * 1024 * 1024


class StreamConnection:
    """One open socket with two tasks: a reader, and a watchdog that probes the connection when it is silent."""

    def __init__(
        self, socket: ClientConnection, symbols: Sequence[str], listener: Listener, policy: StreamPolicy
    ) -> None:
        self._socket = socket
        self._symbols = symbols
        self._listener = listener
        self._policy = policy
        self._cause: Cause | None = None
        self._idle_since: float | None = None
        self.due = asyncio.Event()  # closed, or to be replaced
        self.flowing = asyncio.Event()  # the first frame has arrived
        self.reader = asyncio.create_task(self._read())
        self.reader.add_done_callback(lambda _: self.due.set())

    async def _read(self) -> Cause:
        """Pass frames to the listener until the connection is closed; return the cause."""
        socket, on_frame, now = self._socket, self._listener.on_frame, time.monotonic
        watchdog = asyncio.create_task(self._watch())
        watchdog.add_done_callback(self._stop_if_failed)
        try:
            while True:
                self._idle_since = now()
                frame = await socket.recv(decode=False)
                self._idle_since = None
                if await on_frame(frame, wall_clock()):
                    self._cause = "server_shutdown"
                    self.due.set()
                if not self.flowing.is_set():
                    self.flowing.set()
        except ConnectionClosed as error:
            too_large = error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG
            return self._cause or ("frame_too_large" if too_large else "closed")
        finally:
            watchdog.cancel()
            await socket.close()
            with suppress(asyncio.CancelledError):
                await watchdog

    def _stop_if_failed(self, watchdog: asyncio.Task[None]) -> None:
        """Stop the reader if the listener failed in a probe; the reader then raises that error."""
        if not watchdog.cancelled() and watchdog.exception() is not None:
            self.reader.cancel()

    async def _watch(self) -> None:
        """Close the connection if it is dead (no pong) or stalled (the exchange has trades that do not arrive)."""
        while True:
            await asyncio.sleep(self._policy.stall / 4)
            silent_since = self._idle_since
            if silent_since is None or time.monotonic() - silent_since < self._policy.stall:
                continue
            failure = await self._probe()
            if self._idle_since != silent_since:
                continue  # a frame arrived meanwhile
            if failure is None:
                self._idle_since = time.monotonic()  # a quiet market: probe again after another ``stall`` seconds
                continue
            self._cause = failure
            await self._socket.close()
            return

    async def _probe(self) -> Cause | None:
        """Return why the connection is broken, None if it works."""
        try:
            async with asyncio.timeout(self._policy.pong):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return "no_pong"
        try:
            async with asyncio.timeout(self._policy.stall):  # a rate limit or a ban may delay the response
                behind = await self._listener.is_behind(self._symbols)
        except TimeoutError:
            return "stalled"
        return "stalled" if behind else None

    @property
    def replace_because(self) -> Cause:
        """Why the connection, which is still open, is to be replaced."""
        return self._cause or "hand_over"

    async def close(self) -> None:
        """Close the socket and wait for the reader; re-raises the reader's exception."""
        await self._socket.close()
        await self.reader
