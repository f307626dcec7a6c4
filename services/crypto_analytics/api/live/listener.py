"""Listens to PostgreSQL's notifications of changed candles, on a connection of its own, and reconnects by itself."""

import asyncio
import time
from collections.abc import Callable

import psycopg
from structlog.stdlib import BoundLogger

from crypto_analytics.api import metrics
from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store import postgres
from crypto_analytics.store.candle_changes import CHANNEL

_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 2.0
_CHECK_SECONDS = 15.0  # without a notification for so long, a query shows whether the connection still works


class Wake:
    """What the listener has noticed and the feed has not handled yet."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._symbols: set[str] = set()
        self._arrived: float | None = None
        self._poll = True

    def notice(self, symbol: str) -> None:
        """Note that candles of ``symbol`` changed."""
        self._symbols.add(symbol)
        if self._arrived is None:
            self._arrived = time.monotonic()
        self.event.set()

    def poll(self) -> None:
        """Let the feed look for changes of all symbols, for example because notifications may have been missed."""
        self._poll = True
        self.event.set()

    def take(self) -> tuple[set[str], bool, float]:
        """Return the noticed symbols, whether to look for changes of all, and when the first was noticed."""
        self.event.clear()
        taken = self._symbols, self._poll, time.monotonic() if self._arrived is None else self._arrived
        self._symbols, self._poll, self._arrived = set(), False, None
        return taken


async def listen(settings: ApiSettings, wake: Wake, log: BoundLogger) -> None:
    """Pass notifications on to ``wake`` until cancelled."""
    delays = backoff(_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                **postgres.parameters(settings, "api-listener"), autocommit=True
            ) as connection:
                await connection.execute(f"listen {CHANNEL}".encode())
                log.info("listening_to_changes", channel=CHANNEL)
                metrics.PUSH_LISTENS.set(1)
                delays = backoff(_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
                wake.poll()  # for what changed while nobody listened
                await _pass_on(connection, wake.notice)
        except psycopg.Error as error:
            metrics.PUSH_LISTENS.set(0)
            log.warning("listener_lost", cause=str(error).strip(), next="check PostgreSQL; it is retried")
            await asyncio.sleep(next(delays))


async def _pass_on(connection: psycopg.AsyncConnection, notice: Callable[[str], None]) -> None:
    while True:
        async for notification in connection.notifies(timeout=_CHECK_SECONDS):
            notice(notification.payload)
        await connection.execute("select")
