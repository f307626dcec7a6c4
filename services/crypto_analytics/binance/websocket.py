"""The exchange's combined WebSocket stream: connections that are opened, watched, handed over and reopened.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (General WSS information, WebSocket
Limits, Server Shutdown). Nothing is replayed after a break: what was missed is the listener's to find by trade ids,
and the overlap of a hand-over is its to remove by the same ids. Frames are passed on as received; parsing is elsewhere.
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
from crypto_analytics.binance.errors import RateLimited, address_of, error_of, is_retryable
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
    """Who takes the frames. Errors it raises end the stream."""

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        """Take a frame, received at ``received_at`` (us); the next is read after that: waiting here holds it back.

        Return True to have the connection replaced at once: the server announced its shutdown, or a symbol of the
        connection was listed after it was opened.
        """
        ...

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Note that a connection for ``symbols`` is open; ``cause`` says why it was opened."""
        ...

    def on_disconnected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Note that nothing comes for ``symbols`` until the next ``on_connected``."""
        ...

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        """Whether the exchange has newer trades than those received: tells a stalled stream from a quiet market."""
        ...


@dataclass(frozen=True)
class StreamPolicy:
    """When a connection is doubted, replaced and given up; all in seconds but ``max_frame_bytes``."""

    stall: float = 30.0
    hand_over: float = 23.5 * 3600
    overlap: float = 10.0
    pong: float = 10.0
    open: float = 10.0
    streams_per_connection: int = 400
    max_frame_bytes: int = 4 * 1024 * 1024


class ConnectionAttempts:
    """The exchange's limit of 300 connection attempts in 5 minutes and address, as a sliding window.

    It is shared by all connections of a process, and so is the pause that a refusal asks for: the exchange counts by
    address. ``now`` is a clock that nobody can set.
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
        self._made: deque[float] = deque()
        self._paused_until = -math.inf

    async def acquire(self, wait: Callable[[float], Awaitable[None]] | None = None) -> None:
        """Wait until another attempt is allowed and count it; ``wait`` is used for waiting, if it is given."""
        while (seconds := self._seconds_until_allowed()) > 0:
            await (wait or self._sleep)(seconds)
        self._made.append(self._now())

    def pause(self, seconds: float) -> None:
        """Allow no attempt for ``seconds``."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _seconds_until_allowed(self) -> float:
        now = self._now()
        while self._made and self._made[0] + ATTEMPTS_WINDOW <= now:
            self._made.popleft()
        full = self._made[0] + ATTEMPTS_WINDOW - now if len(self._made) >= self._limit else 0.0
        return max(self._paused_until - now, full, 0.0)


class _Opening(connect):
    """The opening of a connection to one address: a redirect is an answer, as for the REST client."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return ``exc``: nothing is followed."""
        return exc


class _Connection:
    """One open socket: a task reads it, another doubts it when it falls silent."""

    def __init__(
        self, socket: ClientConnection, symbols: Sequence[str], listener: Listener, policy: StreamPolicy
    ) -> None:
        self._socket = socket
        self._symbols = symbols
        self._listener = listener
        self._policy = policy
        self._cause: Cause | None = None
        self._idle_since: float | None = None
        self.due = asyncio.Event()  # ended, or announced its end
        self.flowing = asyncio.Event()  # the first frame has come
        self.reader = asyncio.create_task(self._read())
        self.reader.add_done_callback(lambda _: self.due.set())

    async def _read(self) -> Cause:
        """Pass frames on until the connection ends; return why it did."""
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
        """Close a connection that is dead (no pong) or stalled (the exchange has trades that do not arrive)."""
        while True:
            await asyncio.sleep(self._policy.stall / 4)
            silent_since = self._idle_since
            if silent_since is None or time.monotonic() - silent_since < self._policy.stall:
                continue
            doubt = await self._doubt()
            if self._idle_since != silent_since:
                continue  # a frame has come meanwhile
            if doubt is None:
                self._idle_since = time.monotonic()  # a quiet market: ask again after the same time
                continue
            self._cause = doubt
            await self._socket.close()
            return

    async def _doubt(self) -> Cause | None:
        try:
            async with asyncio.timeout(self._policy.pong):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return "no_pong"
        try:
            async with asyncio.timeout(self._policy.stall):  # the answer may be held back by a limit, or a ban
                behind = await self._listener.is_behind(self._symbols)
        except TimeoutError:
            return "stalled"
        return "stalled" if behind else None

    @property
    def replace_because(self) -> Cause:
        """Why the connection, which still runs, is to be replaced."""
        return self._cause or "hand_over"

    async def close(self) -> None:
        """Close the socket and end the reader; errors of the reader are raised."""
        await self._socket.close()
        await self.reader


class TradeStream:
    """All symbols' streams, over as many connections as they need."""

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
            Misconfigured: a variable of the environment names a proxy or certificates that cannot be used.
        """
        self._url = f"{url.rstrip('/')}/stream"
        self._shown_url = address_of(self._url)  # the query names hundreds of symbols
        self._proxy = proxy_for(url, os.environ)
        self._tls = tls.stream_context(url)
        self._symbols = symbols
        self._listener = listener
        self._type = stream_type
        self._policy = policy or StreamPolicy()
        self._attempts = attempts or ConnectionAttempts()
        self._random = random or Random()

    async def run(self) -> None:
        """Follow the stream until cancelled.

        Raises:
            ExceptionGroup: of ``Blocked`` or ``Rejected`` where the exchange refuses the connection for good, or of
                what the listener raised.
        """
        size = self._policy.streams_per_connection
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(self._symbols), size):
                group.create_task(self._follow(self._symbols[start : start + size]))

    async def _follow(self, symbols: Sequence[str]) -> None:
        """Keep one connection for ``symbols``; for the time of a hand-over, two."""
        delays = self._delays()
        cause: Cause = "start"
        old: _Connection | None = None
        new: _Connection | None = None

        def look_at_old() -> None:
            """Tell the listener if the old connection ended before the new one is open: trades may be missing."""
            nonlocal cause, old
            if old is not None and old.reader.done():
                cause, old = self._ended(old, symbols), None

        async def pause(seconds: float) -> None:
            """Wait before another attempt; if the old connection ends meanwhile, the listener hears of it at once."""
            until = time.monotonic() + seconds
            if old is not None:
                await asyncio.wait({old.reader}, timeout=seconds)
                look_at_old()
            await asyncio.sleep(until - time.monotonic())

        try:
            while True:
                new = await self._connect(symbols, delays, pause)
                look_at_old()
                self._announce(symbols, cause)
                if old is not None:
                    await _wait(new.flowing, self._policy.overlap)
                    await old.close()
                    old = None
                await _wait(new.due, self._policy.hand_over * self._random.uniform(0.95, 1))
                if new.flowing.is_set():
                    delays = self._delays()
                if new.reader.done():
                    cause = self._ended(new, symbols)
                else:
                    cause, old = new.replace_because, new
                new = None
                await pause(next(delays))
        finally:
            left = [connection.reader for connection in (old, new) if connection is not None]
            for reader in left:
                reader.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, connection: _Connection, symbols: Sequence[str]) -> Cause:
        """Tell the listener that ``connection`` has ended and return why; raises what the listener raised."""
        cause = connection.reader.result()
        log.warning("stream_ended", cause=cause, symbols=len(symbols))
        self._listener.on_disconnected(symbols, cause)
        return cause

    def _announce(self, symbols: Sequence[str], cause: Cause) -> None:
        if cause != "start":
            metrics.RECONNECTS.labels(cause).inc()
        log.info("stream_connected", cause=cause, symbols=len(symbols), url=self._shown_url)
        self._listener.on_connected(symbols, cause)

    async def _connect(
        self, symbols: Sequence[str], delays: Iterator[float], pause: Callable[[float], Awaitable[None]]
    ) -> _Connection:
        """Return an open connection; tries for as long as the failure may pass, with a ``pause`` in between."""
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
                    ping_interval=None,  # silence is what the watchdog looks at, and then it pings
                    max_size=self._policy.max_frame_bytes,
                    max_queue=256,
                    compression=None,
                )
            except InvalidStatus as refusal:
                answer = refusal.response
                headers = dict(answer.headers.raw_items())  # of a header that is sent twice, the last
                error = error_of(
                    answer.status_code, headers, bytes(answer.body or b""), self._shown_url, "BINANCE_WS_URL"
                )
                if not is_retryable(error):
                    raise error from refusal
                wait = error.retry_after if isinstance(error, RateLimited) else next(delays)
                if isinstance(error, RateLimited):
                    self._attempts.pause(wait)  # of all connections
                log.warning("stream_refused", cause=str(error), wait_seconds=round(wait, 3))
            except (OSError, TimeoutError, EOFError, InvalidHandshake) as failure:
                wait = next(delays)
                cause = f"{type(failure).__name__}: {failure}"
                log.warning(
                    "stream_unreachable",
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
    """Wait for ``event``, but no longer than ``seconds``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
