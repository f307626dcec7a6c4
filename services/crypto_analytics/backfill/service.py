"""Fetch the missing klines, answer by answer; each answer is committed, so the next run resumes an interrupted one.

The newest ten minutes in the table are always requested again, which costs one request per symbol; equal rows are not
updated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psycopg
import structlog

from crypto_analytics.backfill import planner
from crypto_analytics.backfill.progress_reporter import ProgressReporter
from crypto_analytics.binance.errors import Rejected
from crypto_analytics.binance.rest import PAGE
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import MINUTE, to_datetime
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import Clock
from crypto_analytics.store import klines as table
from crypto_analytics.store import symbols as followed

log = structlog.get_logger("backfill")


class KlineSource(Protocol):
    """The method of :class:`crypto_analytics.binance.rest.BinanceRest` that is used here."""

    async def klines(self, symbol: str, start_ms: int, end_ms: int | None = None, limit: int = PAGE) -> list[Kline]:
        """Return up to ``limit`` klines from ``start_ms`` (milliseconds since the epoch) on."""
        ...


@dataclass
class BackfillSummary:
    """The totals of a run.

    Attributes:
        fetched: klines received.
        written: klines inserted or corrected.
        absent: minutes without a kline at the exchange.
        requests: requests for klines.
        refused: symbols that the exchange refuses.
    """

    fetched: int = 0
    written: int = 0
    absent: int = 0
    requests: int = 0
    refused: list[str] = field(default_factory=list)


class MisalignedKline(ValueError):
    """The exchange sent a kline that does not begin on a minute."""


class Backfill:
    """One run over all symbols."""

    def __init__(
        self, source: KlineSource, connect: Callable[[], psycopg.Connection], clock: Clock, progress: ProgressReporter
    ) -> None:
        self._source = source
        self._connect = connect
        self._clock = clock
        self._progress = progress
        self.summary = BackfillSummary()

    async def run(self, symbols: Sequence[str], days: int) -> None:
        """Fetch the missing klines of the last ``days`` days and the newest ten again, and count them in ``summary``.

        Before that, reconciles the table ``symbols``: ``symbols`` are followed, and all others are retired. A symbol
        that the exchange refuses does not stop the others. Cancelling is safe: it takes effect only while waiting for
        an answer, and each answer is committed as a whole.

        Raises:
            ExchangeError: the exchange is unreachable, or blocks this host's location.
            MisalignedKline: a kline does not begin on a minute.
            psycopg.Error: the database fails.
        """
        with self._connect() as connection:
            changed = followed.reconcile(connection, symbols)
            for symbol in changed.followed:
                log.info("symbol_followed", symbol=symbol)
            for symbol in changed.retired:
                log.warning("symbol_retired", symbol=symbol, cause="it is not in SYMBOLS", kept="all its data")
            for symbol in symbols:
                try:
                    await self._fetch(connection, symbol, days)
                except Rejected as error:
                    self.summary.refused.append(symbol)
                    log.error("symbol_refused", symbol=symbol, cause=str(error), next="check SYMBOLS")

    async def _fetch(self, connection: psycopg.Connection, symbol: str, days: int) -> None:
        wanted = planner.window(self._clock(), days)
        known = planner.settled(table.minutes_held(connection, symbol, *wanted))
        left = planner.missing_count(known, wanted)
        self._progress.begin(symbol, left)
        while (request := planner.next_request(known, wanted)) is not None:
            answer = await self._source.klines(symbol, request.start * MINUTE // 1000, limit=request.limit)
            _check(symbol, answer)
            fresh = planner.closed(answer, wanted, self._clock())
            with connection.transaction():
                written = table.upsert(connection, symbol, fresh)
            metrics.KLINES_WRITTEN.inc(written)
            self.summary.requests += 1
            self.summary.fetched += len(fresh)
            self.summary.written += written
            known.add(*planner.answered_minutes(request, answer, wanted))
            before, left = left, planner.missing_count(known, wanted)
            self._progress.advance(symbol, before - left)
        held = table.minutes_held(connection, symbol, *wanted)
        self.summary.absent += planner.missing_count(held, wanted)


def _check(symbol: str, klines: Sequence[Kline]) -> None:
    for kline in klines:
        if kline.open_time % MINUTE:
            when = to_datetime(kline.open_time).isoformat()
            raise MisalignedKline(
                f"{symbol}: a kline opens at {when}, which is no whole minute; check BINANCE_REST_URL"
            )
