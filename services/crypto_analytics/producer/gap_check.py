"""A second look for gaps: the view ``trade_id_gaps`` tells which ids are missing in what is merged.

It finds what the producer cannot know by itself: gaps that outlived a crash, and records that the consumer refused.
In return, the database is told which ids are verified absent, and why the other gaps stay open.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import psycopg
import structlog

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.gap_reasons import REFUSED, GapReason, GapReasons, VerifiedAbsence, retry_seconds
from crypto_analytics.producer.threads import detached
from crypto_analytics.producer.trade_ids import RetrySchedule, TradeIds
from crypto_analytics.runtime.settings import PostgresSettings
from crypto_analytics.store.postgres import connect

GAPS_A_ROUND = 200

# A trade that was fetched and is not merged yet is on its way, or the merge does not take it: ever longer pauses.
_LONGEST_PAUSE_SECONDS = 6 * 3600.0
_RESUME_SECONDS = 10.0
# The reason of such a gap. Its time lets gaps that were not tried for longer take their turn.
_REQUESTED = "requested, and not merged yet"

log = structlog.get_logger("producer.gap_check")

# Each symbol has its share of a round, and each gap its turn: first those never tried, the newest of them first, then
# those not tried for longest.
_GAPS = """
select symbol, first_missing_id, last_missing_id, reason
from (
    select
        symbol, first_missing_id, last_missing_id, reason,
        row_number() over (
            partition by symbol order by tried_at nulls first, last_missing_id desc
        ) as turn
    from trade_id_gaps
    where symbol = any(%s)
) as gaps
order by turn, symbol
limit %s
"""

_REFUSED = """
select symbol, first_id, last_id, reason, extract(epoch from now() - tried_at)::float8
from open_gap_reasons
where symbol = any(%s) and starts_with(reason, %s)
"""


class MergedGap(NamedTuple):
    """The ids ``ids`` of ``symbol`` are missing between merged ones; ``reason`` says why, where that is recorded."""

    symbol: str
    ids: IdRange
    reason: str | None = None


class RefusedGap(NamedTuple):
    """The trades ``ids`` of ``symbol`` were refused for ``reason``, ``age`` seconds ago."""

    symbol: str
    ids: IdRange
    reason: str
    age: float


class GapStore(Protocol):
    """Tells the gaps in what is merged, and keeps what is known about them."""

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return some of the gaps of ``symbols``, as many of each."""
        ...

    def read_refused(self, symbols: Sequence[str]) -> list[RefusedGap]:
        """Return what earlier runs refused."""
        ...

    def record(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Record which ids are verified absent, and why others stay missing."""
        ...


class PostgresGaps:
    """The views and functions in PostgreSQL, each time over a connection of its own: once a minute is no load.

    Every method raises psycopg.Error where the server is away, refuses the login, or has no such view or function.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return at most 200 gaps of ``symbols``, or two of each: as many of each symbol, those untried first."""
        with self._connect() as connection:
            most = max(GAPS_A_ROUND, 2 * len(symbols))
            rows = connection.execute(_GAPS, (list(symbols), most)).fetchall()
        return [MergedGap(symbol, IdRange(first, last), reason) for symbol, first, last, reason in rows]

    def read_refused(self, symbols: Sequence[str]) -> list[RefusedGap]:
        """Return what earlier runs refused."""
        with self._connect() as connection:
            rows = connection.execute(_REFUSED, (list(symbols), REFUSED)).fetchall()
        return [RefusedGap(symbol, IdRange(first, last), reason, age) for symbol, first, last, reason, age in rows]

    def record(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Record which ids are verified absent, and why others stay missing."""
        with self._connect() as connection:
            connection.execute("set statement_timeout = '20s'")  # a merge of the same symbol may hold its lock
            for symbol, ids, method, answer in absences:
                connection.execute("select record_absent_ids(%s, %s, %s, %s, %s)", (symbol, *ids, method, answer))
            for symbol, ids, text in reasons:
                connection.execute("select record_gap_reason(%s, %s, %s, %s)", (symbol, *ids, text))

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings, "producer")
        connection.execute("set statement_timeout = '5s'")  # an optional look must not load the server
        return connection


class GapCheck:
    """Reopens the gaps that the database lists, each with growing pauses: its repair takes time to get there."""

    def __init__(
        self,
        store: GapStore,
        ids: dict[str, TradeIds],
        seconds: float,
        *,
        records: GapReasons | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds`` lie between two looks; a gap is reopened for the second time after twice as long."""
        self._store = store
        self._ids = ids
        self._seconds = seconds
        self._records = records or GapReasons()
        self._now = now
        self._retries = {
            symbol: RetrySchedule(first_retry=2 * seconds, longest_retry=_LONGEST_PAUSE_SECONDS) for symbol in ids
        }

    async def resume(self) -> None:
        """Read what earlier runs refused, so that it is not fetched and dead-lettered again at each start.

        A database that does not answer in ten seconds is not waited for.
        """
        try:
            async with asyncio.timeout(_RESUME_SECONDS):
                refused = await detached(partial(self._store.read_refused, list(self._ids)))
        except (psycopg.Error, TimeoutError) as error:
            cause = str(error) or "no answer in time"
            log.warning("refused_ids_unknown", cause=cause, next="nothing; what was refused is fetched once more")
            return
        for symbol, ids, reason, age in refused:
            wait = retry_seconds(reason.removeprefix(REFUSED)) - age
            self._records.refuse(symbol, ids, self._now() + wait)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.record()
            except psycopg.Error as error:
                log.warning("gap_records_kept", cause=str(error), next="check POSTGRES_* (role producer); tried again")
            try:
                await self.look()
            except psycopg.Error as error:
                log.warning("gap_check_failed", cause=str(error), next="check POSTGRES_* and the database; tried again")
            await asyncio.sleep(self._seconds)

    async def record(self) -> None:
        """Tell the database what it does not know yet; what it does not take is kept.

        Raises:
            psycopg.Error: it takes nothing now.
        """
        absences, reasons = self._records.absences(), self._records.reasons()
        if absences or reasons:
            await detached(partial(self._store.record, absences, reasons))
            self._records.recorded(absences, reasons)

    async def look(self) -> None:
        """Read the list once and reopen what is due.

        Raises:
            psycopg.Error: the list cannot be read.
        """
        listed = {symbol: IdRanges() for symbol in self._ids}
        unexplained = {symbol: IdRanges() for symbol in self._ids}
        for row in await detached(partial(self._store.read, list(self._ids))):
            listed[row.symbol].add(*row.ids)
            if row.reason in {None, _REQUESTED}:
                unexplained[row.symbol].add(*row.ids)
        for symbol, gaps in listed.items():
            for absent in self._records.absent(symbol):  # told to the database, or about to be
                gaps.remove(*absent)
            schedule = self._retries[symbol]
            for gap in schedule.due(gaps, self._now()):
                log.info("gap_listed", symbol=symbol, first=gap.first, last=gap.last)
                if schedule.was_tried(gap) and unexplained[symbol].covers(*gap):
                    self._records.explain(symbol, gap, _REQUESTED)
                self._ids[symbol].reopen(*gap)
                schedule.defer(gap, self._now())
