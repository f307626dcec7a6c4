"""Client of the combined WebSocket trade streams: reconnects, and hands over before the exchange's 24-hour limit.

The exchange closes a connection after 24 hours. Before that a new connection is opened, and the old one is read until
the new one receives its first frame.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (General WSS information, WebSocket
Limits, Server Shutdown). The exchange does not replay missed trades. The listener finds gaps by trade ids, and by the
same ids it removes the duplicates of a hand-over. Frames are passed on as received, without parsing.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Literal

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from crypto_analytics.binance import tls
from crypto_analytics.binance.errors import RateLimited, error_of, is_retryable, redacted
from crypto_analytics.binance.proxies import proxy_for
from crypto_analytics.binance.rate_limits import ConnectionAttempts
from crypto_analytics.binance.stream_connection import Cause, Listener, StreamConnection, StreamPolicy
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.retry import backoff

StreamType = Literal["trade", "aggTrade"]

MAX_STREAMS = 1024

log = structlog.get_logger("binance.trade_stream")


class _Connect(connect):
    """A connection attempt that treats a redirect as an error, as the REST client does."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return ``exc``: redirects are not followed."""
        return exc


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
                the listener's exception.
        """
        size = self._policy.streams_per_connection
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(self._symbols), size):
                group.create_task(self._keep_connected(self._symbols[start : start + size]))

    async def _keep_connected(self, symbols: Sequence[str]) -> None:
        """Keep one connection for ``symbols`` open; during a hand-over, two."""
        delays = self._delays()
        cause: Cause = "start"
        old: StreamConnection | None = None
        new: StreamConnection | None = None

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

    def _on_closed(self, connection: StreamConnection, symbols: Sequence[str]) -> Cause:
        """Notify the listener that ``connection`` is closed and return the cause; re-raises the reader's exception."""
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
    ) -> StreamConnection:
        """Return an open connection; retryable failures are retried without limit, with a ``pause`` in between."""
        streams = "/".join(f"{symbol.lower()}@{self._type}" for symbol in symbols)
        address = f"{self._url}?streams={streams}&timeUnit=MICROSECOND"
        while True:
            await self._attempts.acquire(pause)
            try:
                socket = await _Connect(
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
            except InvalidStatus as rejection:
                response = rejection.response
                headers = dict(response.headers.raw_items())  # the last one of a header that is sent twice
                error = error_of(
                    response.status_code, headers, bytes(response.body or b""), self._shown_url, "BINANCE_WS_URL"
                )
                if not is_retryable(error):
                    raise error from rejection
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
                return StreamConnection(socket, symbols, self._listener, self._policy)
            await pause(wait)

    def _delays(self) -> Iterator[float]:
        return backoff(random=self._random)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, at most ``seconds``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
