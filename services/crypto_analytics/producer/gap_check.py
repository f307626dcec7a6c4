"""Reopen the gaps in the merged trades: the view ``trade_id_gaps`` lists the ids that were never merged.

It lists gaps that the producer cannot detect itself: gaps that outlived a crash, and records that the consumer refused.
In the other direction, the check records which ids are verified absent, and why the other gaps stay open.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import psycopg
import structlog

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.gap_reasons import REFUSED, GapReasons, retry_seconds
from crypto_analytics.producer.gap_store import GapStore
from crypto_analytics.producer.retry_schedule import RetrySchedule
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime.daemon_thread import run_in_daemon_thread

# A fetched trade that is not merged yet is on its way, or the consumer refuses it: the waits grow up to this.
_LONGEST_WAIT_SECONDS = 6 * 3600.0
_RESUME_TIMEOUT_SECONDS = 10.0
# The reason of a gap that was fetched again. Recording it moves its tried_at, so that other gaps get their turn.
_REQUESTED = "requested, and not merged yet"

log = structlog.get_logger("producer.gap_check")


class GapCheck:
    """Reopens the gaps that the database lists; the wait before a gap is reopened again doubles each time."""

    def __init__(
        self,
        store: GapStore,
        ids: dict[str, TradeIds],
        seconds: float,
        *,
        reasons: GapReasons | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check every ``seconds``; the first wait before a gap is reopened again is twice as long."""
        self._store = store
        self._ids = ids
        self._seconds = seconds
        self._reasons = reasons or GapReasons()
        self._now = now
        self._retries = {
            symbol: RetrySchedule(first_retry=2 * seconds, longest_retry=_LONGEST_WAIT_SECONDS) for symbol in ids
        }

    async def resume(self) -> None:
        """Read the gaps whose trades earlier runs refused, so that a start does not dead-letter them again.

        Gives up after ten seconds without an answer from the database.
        """
        try:
            async with asyncio.timeout(_RESUME_TIMEOUT_SECONDS):
                refused = await run_in_daemon_thread(partial(self._store.read_refused, list(self._ids)))
        except (psycopg.Error, TimeoutError) as error:
            cause = str(error) or "no answer in time"
            log.warning(
                "refused_ids_not_read", cause=cause, next="nothing; the refused trades are fetched and refused again"
            )
            return
        for symbol, ids, reason, age in refused:
            wait = retry_seconds(reason.removeprefix(REFUSED)) - age
            self._reasons.refuse(symbol, ids, self._now() + wait)

    async def run(self) -> None:
        """Record and check every few seconds until cancelled."""
        while True:
            try:
                await self.record()
            except psycopg.Error as error:
                log.warning("gap_reasons_not_recorded", cause=str(error), next="check POSTGRES_* (role producer)")
            try:
                await self.check()
            except psycopg.Error as error:
                log.warning("gap_check_failed", cause=str(error), next="check POSTGRES_* and the database")
            await asyncio.sleep(self._seconds)

    async def record(self) -> None:
        """Write the unrecorded absences and reasons to the database; they stay buffered if that fails.

        Raises:
            psycopg.Error: the database fails.
        """
        absences, reasons = self._reasons.unrecorded_absences(), self._reasons.unrecorded_reasons()
        if absences or reasons:
            await run_in_daemon_thread(partial(self._store.record, absences, reasons))
            self._reasons.mark_recorded(absences, reasons)

    async def check(self) -> None:
        """Read the listed gaps once and reopen those that are due.

        Raises:
            psycopg.Error: the list cannot be read.
        """
        listed = {symbol: IdRanges() for symbol in self._ids}
        unexplained = {symbol: IdRanges() for symbol in self._ids}
        for row in await run_in_daemon_thread(partial(self._store.read, list(self._ids))):
            listed[row.symbol].add(*row.ids)
            if row.reason in {None, _REQUESTED}:
                unexplained[row.symbol].add(*row.ids)
        for symbol, gaps in listed.items():
            for absent in self._reasons.absent(symbol):  # recorded meanwhile, or about to be
                gaps.remove(*absent)
            schedule = self._retries[symbol]
            for gap in schedule.due(gaps, self._now()):
                log.info("gap_listed", symbol=symbol, first=gap.first, last=gap.last)
                if schedule.was_tried(gap) and unexplained[symbol].covers(*gap):
                    self._reasons.explain(symbol, gap, _REQUESTED)
                self._ids[symbol].reopen(*gap)
                schedule.defer(gap, self._now())
