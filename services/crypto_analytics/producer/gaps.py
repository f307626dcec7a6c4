"""A second look for holes: the view ``trade_id_gaps`` tells which ids are missing in what is merged.

It finds what the producer cannot know by itself: holes that outlived a crash, and records that the consumer refused.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import psycopg
import structlog

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.sequence import Ledger, TradeIds
from crypto_analytics.producer.threads import detached
from crypto_analytics.runtime.settings import PostgresSettings
from crypto_analytics.store.postgres import connect

GAPS_A_ROUND = 200

log = structlog.get_logger("producer.gaps")

_QUERY = """
select symbol, first_missing_id, last_missing_id
from trade_id_gaps
where symbol = any(%s)
order by last_missing_id desc
limit %s
"""


class MergedGap(NamedTuple):
    """The ids ``ids`` of ``symbol`` are missing between merged ones."""

    symbol: str
    ids: IdRange


class GapView(Protocol):
    """Tells the holes in what is merged."""

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return some of the holes of ``symbols``, the newest first."""
        ...


class PostgresGaps:
    """The view in PostgreSQL, read over a connection of its own each time: once a minute is no load."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return at most 200 holes of ``symbols``, the newest first.

        Raises:
            psycopg.Error: the server is away, refuses the login, or has no such view.
        """
        with connect(self._settings, "producer") as connection:
            connection.execute("set statement_timeout = '5s'")  # an optional look must not load the server
            rows = connection.execute(_QUERY, (list(symbols), GAPS_A_ROUND)).fetchall()
        return [MergedGap(symbol, IdRange(first, last)) for symbol, first, last in rows]


class GapCheck:
    """Reopens the holes that the database lists, each with growing pauses: its repair takes time to get there."""

    def __init__(
        self, view: GapView, ids: dict[str, TradeIds], seconds: float, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """``seconds`` lie between two looks; a hole is reopened for the second time after twice as long."""
        self._view = view
        self._ids = ids
        self._seconds = seconds
        self._now = now
        self._ledgers = {symbol: Ledger(first_retry=2 * seconds) for symbol in ids}

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except psycopg.Error as error:
                log.warning("gap_check_failed", cause=str(error), next="check POSTGRES_* and the database; tried again")
            await asyncio.sleep(self._seconds)

    async def look(self) -> None:
        """Read the list once and reopen what is due."""
        listed = {symbol: IdRanges() for symbol in self._ids}
        for gap in await detached(partial(self._view.read, list(self._ids))):
            listed[gap.symbol].add(*gap.ids)
        for symbol, holes in listed.items():
            ledger = self._ledgers[symbol]
            for hole in ledger.due(holes, self._now()):
                log.info("gap_listed", symbol=symbol, first=hole.first, last=hole.last)
                self._ids[symbol].reopen(*hole)
                ledger.defer(hole, self._now())
