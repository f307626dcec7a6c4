"""Client of the exchange's combined WebSocket streams: connects, watches, hands over and reconnects.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (General WSS information, WebSocket
Limits, Server Shutdown). The exchange does not replay missed trades. The listener finds gaps by trade ids, and by the
same ids it removes the duplicates of a hand-over. Frames are passed on as received, without parsing.
"""

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode

from crypto_analytics.binance import tls
from crypto_analytics.binance.errors import RateLimited, error_of, is_retryable, redacted
from crypto_analytics.binance.proxies import proxy_for
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.runtime.retry import backoff

StreamType = Literal["trade", "aggTrade"]
Cause = Literal["start", "closed", "stalled", "no_pong", "frame_too_large", "hand_over", "server_shutdown"]

MAX_STREAMS = 1024
MAX_ATTEMPTS = 300
ATTEMPTS_WINDOW = 300.0

log = structlog.get_logger("binance.websocket")


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
        """Whether the exchange has newer trades than those received: a stalled stream, not a quiet market."""
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


class ConnectionAttempts:
    """The exchange's limit of 300 connection attempts per 5 minutes and IP address, as a sliding window.

    All connections of a process share it, and the pause after a 429 or 418: the exchange counts per address. ``now``
    returns monotonic seconds.
    """

    def __init__(
        self,
        limit: int = MAX_ATTEMPTS,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._now = now
        self._sleep = sleep
        self._attempt_times: deque[float] = deque()
        self._paused_until = -math.inf

    async def acquire(self, wait: Callable[[float], Awaitable[None]] | None = None) -> None:
        """Wait until another attempt is allowed and count it; ``wait``, if given, is used instead of ``sleep``."""
        while (seconds := self._seconds_until_allowed()) > 0:
            await (wait or self._sleep)(seconds)
        self._attempt_times.append(self._now())

    def pause(self, seconds: float) -> None:
        """Allow no attempt for ``seconds``."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _seconds_until_allowed(self) -> float:
        now = self._now()
        while self._attempt_times and self._attempt_times[0] + ATTEMPTS_WINDOW <= now:
            self._attempt_times.popleft()
        full = self._attempt_times[0] + ATTEMPTS_WINDOW - now if len(self._attempt_times) >= self._limit else 0.0
        return max(self._paused_until - now, full, 0.0)


class _Opening(connect):
    """A connection attempt that treats a redirect as an error, as the REST client does."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return ``exc``: redirects are not followed."""
        return exc


class _Connection:
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
        """Close the socket and wait for the reader; raises what the reader raised."""
        await self._socket.close()
        await self.reader


class TradeStream:
    """The trade streams of all symbols, over as many connections as the stream limit requires."""

    def __init__(
        self,
        url: str,
        symbols: Sequence[str],
        listener: Listener,
        *,
        stream_type: StreamType = "trade",
        policy: StreamPolicy | None = None,
        attempts: ConnectionAttempts | None = None,
        random: Random | None = None,
    ) -> None:
        """``url`` is the host of the combined stream, without ``/stream``.

        Raises:
            Misconfigured: an environment variable names an invalid proxy or unusable certificates.
        """
        self._url = f"{url.rstrip('/')}/stream"
        self._shown_url = redacted(self._url)  # for logs; the full query names hundreds of symbols
        self._proxy = proxy_for(url, os.environ)
        self._tls = tls.stream_context(url)
        self._symbols = symbols
        self._listener = listener
        self._type = stream_type
        self._policy = policy or StreamPolicy()
        self._attempts = attempts or ConnectionAttempts()
        self._random = random or Random()

    async def run(self) -> None:
        """Receive until cancelled.

        Raises:
            ExceptionGroup: contains ``Blocked`` or ``Rejected`` if the exchange rejects the connection permanently, or
                what the listener raised.
        """
        size = self._policy.streams_per_connection
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(self._symbols), size):
                group.create_task(self._keep_connected(self._symbols[start : start + size]))

    async def _keep_connected(self, symbols: Sequence[str]) -> None:
        """Keep one connection for ``symbols`` open; during a hand-over, two."""
        delays = self._delays()
        cause: Cause = "start"
        old: _Connection | None = None
        new: _Connection | None = None

        def check_old() -> None:
            """Notify the listener if the old connection closed before the new one opened: trades may be missing."""
            nonlocal cause, old
            if old is not None and old.reader.done():
                cause, old = self._on_closed(old, symbols), None

        async def pause(seconds: float) -> None:
            """Wait before the next attempt; notify the listener at once if the old connection closes meanwhile."""
            until = time.monotonic() + seconds
            if old is not None:
                await asyncio.wait({old.reader}, timeout=seconds)
                check_old()
            await asyncio.sleep(until - time.monotonic())

        try:
            while True:
                new = await self._connect(symbols, delays, pause)
                check_old()
                self._on_opened(symbols, cause)
                if old is not None:
                    await _wait(new.flowing, self._policy.overlap)
                    await old.close()
                    old = None
                await _wait(new.due, self._policy.hand_over * self._random.uniform(0.95, 1))
                if new.flowing.is_set():
                    delays = self._delays()
                if new.reader.done():
                    cause = self._on_closed(new, symbols)
                else:
                    cause, old = new.replace_because, new
                new = None
                await pause(next(delays))
        finally:
            remaining = [connection.reader for connection in (old, new) if connection is not None]
            for reader in remaining:
                reader.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)

    def _on_closed(self, connection: _Connection, symbols: Sequence[str]) -> Cause:
        """Notify the listener that ``connection`` is closed and return the cause; raises what the reader raised."""
        cause = connection.reader.result()
        log.warning("stream_disconnected", cause=cause, symbols=len(symbols))
        self._listener.on_disconnected(symbols, cause)
        return cause

    def _on_opened(self, symbols: Sequence[str], cause: Cause) -> None:
        if cause != "start":
            metrics.RECONNECTS.labels(cause).inc()
        log.info("stream_connected", cause=cause, symbols=len(symbols), url=self._shown_url)
        self._listener.on_connected(symbols, cause)

    async def _connect(
        self, symbols: Sequence[str], delays: Iterator[float], pause: Callable[[float], Awaitable[None]]
    ) -> _Connection:
        """Return an open connection; retryable failures are retried without limit, with a ``pause`` in between."""
        streams = "/".join(f"{symbol.lower()}@{self._type}" for symbol in symbols)
        address = f"{self._url}?streams={streams}&timeUnit=MICROSECOND"
        while True:
            await self._attempts.acquire(pause)
            try:
                socket = await _Opening(
                    address,
                    ssl=self._tls,
                    proxy=self._proxy.url if self._proxy else None,
                    open_timeout=self._policy.open,
                    close_timeout=1,
                    ping_interval=None,  # the watchdog sends pings when the connection is silent
                    max_size=self._policy.max_frame_bytes,
                    max_queue=256,
                    compression=None,
                )
            except InvalidStatus as refusal:
                response = refusal.response
                headers = dict(response.headers.raw_items())  # the last one of a header that is sent twice
                error = error_of(
                    response.status_code, headers, bytes(response.body or b""), self._shown_url, "BINANCE_WS_URL"
                )
                if not is_retryable(error):
                    raise error from refusal
                wait = error.retry_after if isinstance(error, RateLimited) else next(delays)
                if isinstance(error, RateLimited):
                    self._attempts.pause(wait)  # for all connections of this process
                log.warning("stream_rejected", cause=str(error), wait_seconds=round(wait, 3))
            except (OSError, TimeoutError, EOFError, InvalidHandshake) as failure:
                wait = next(delays)
                cause = f"{type(failure).__name__}: {failure}"
                log.warning(
                    "stream_connect_failed",
                    cause=cause,
                    url=self._shown_url,
                    proxy=str(self._proxy) if self._proxy else None,
                    wait_seconds=round(wait, 3),
                    next="check the network, the proxy if one is named, and BINANCE_WS_URL",
                )
            else:
                return _Connection(socket, symbols, self._listener, self._policy)
            await pause(wait)

    def _delays(self) -> Iterator[float]:
        return backoff(random=self._random)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, at most ``seconds``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
