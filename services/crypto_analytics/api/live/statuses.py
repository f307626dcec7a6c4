"""The event ``status`` of /v1/live: what is known about a symbol today, read for all watched symbols together."""

import asyncio
import time
from typing import Any, LiteralString

import psycopg

from crypto_analytics.api import completeness, metrics
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.database import QueryTooSlow, StoreUnavailable
from crypto_analytics.api.live import messages
from crypto_analytics.api.live.bars import DAY
from crypto_analytics.api.live.clients import Hub
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.streams import Stream, status_stream
from crypto_analytics.core.minutes import MINUTE, minute_of, to_datetime

_STATUS_SECONDS = 5.0
_MILLISECOND = 1_000

# A trade lies within its minute, also where its candle was changed later.
_NOW: LiteralString = """
select
    known.symbol,
    (select count(*) from trade_id_gaps as gap where gap.symbol = known.symbol),
    (
        select (extract(epoch from least(updated_at, open_time + interval '1 minute')) * 1000000)::bigint
        from fact_realtime_trades_1m as candle
        where candle.symbol = known.symbol
        order by open_time desc limit 1
    )
from unnest(%(symbols)s::text[]) as known (symbol)
"""

_RECONCILED: LiteralString = """
select symbol, count(*) filter (where status = 'equal'), count(*) filter (where status = 'different')
from analytics.reconciliation_klines_1m
where symbol = any (%(symbols)s::text[]) and open_time >= %(day)s
group by symbol
"""


class Statuses:
    """The newest status of each watched symbol."""

    def __init__(self, context: ApiContext, hub: Hub) -> None:
        self._context = context
        self._hub = hub
        self._fields: dict[str, dict[str, Any]] = {}
        self._traded: dict[str, int] = {}

    def changed(self, symbol: str, open_time: int, updated_at: int) -> None:
        """Note that the newest candle of ``symbol`` changed at ``updated_at`` (microseconds)."""
        self._traded[symbol.lower()] = min(updated_at, open_time + MINUTE)

    def newest(self, stream: Stream) -> list[Pushed]:
        """Return the newest status as a message, or nothing before it is known."""
        fields = self._fields.get(stream.symbol)
        if fields is None:
            return []
        now = self._context.clock()
        traded = self._traded.get(stream.symbol, 0) // _MILLISECOND
        newest = max(traded, fields["newestTradeTime"] or 0) or None
        payload = messages.status(fields | {"newestTradeTime": newest, "serverTime": now // _MILLISECOND})
        return [Pushed(stream, payload, time.monotonic())]

    async def run(self) -> None:
        """Publish the status of watched symbols every few seconds, until cancelled; a failed query is retried."""
        while True:
            watched = self._hub.symbols_with("status")
            try:
                if watched:
                    await self._read(watched)
            except (StoreUnavailable, QueryTooSlow) as error:
                self._context.log.debug("status_unreadable", cause=str(error))
            for symbol in watched:
                for message in self.newest(status_stream(symbol)):
                    self._hub.publish(message)
            await self._pause(set(watched))

    async def _pause(self, watched: set[str]) -> None:
        """Wait for the next turn, or until a symbol is watched of which nothing is known."""
        for _ in range(int(_STATUS_SECONDS / 0.25)):
            await asyncio.sleep(0.25)
            if set(self._hub.symbols_with("status")) - watched:
                return

    async def _read(self, watched: list[str]) -> None:
        """Read the status of the watched symbols that exist; clients may watch any others."""
        known = await self._context.symbols.known()
        symbols = [symbol for symbol in known if symbol.lower() in watched]
        now = self._context.clock()
        day = now - now % DAY
        database = self._context.database
        metrics.PUSH_QUERIES.inc(2)
        days = await completeness.of_day(database, symbols, day, minute_of(now))
        rows = await database.rows(_NOW, {"symbols": symbols})
        reconciled = await self._reconciled({"symbols": symbols, "day": to_datetime(day)})
        found = {symbol: (gaps, newest) for symbol, gaps, newest in rows}
        for today in days:
            gaps, newest = found[today.symbol]
            equal, different = reconciled.get(today.symbol, (0, 0))
            self._fields[today.symbol.lower()] = {
                "symbol": today.symbol,
                "minutes": today.minutes,
                "complete": today.complete,
                "gaps": gaps,
                "officialEqual": equal,
                "officialDifferent": different,
                "newestTradeTime": None if newest is None else newest // _MILLISECOND,
            }

    async def _reconciled(self, parameters: dict[str, Any]) -> dict[str, tuple[int, int]]:
        metrics.PUSH_QUERIES.inc()
        try:
            rows = await self._context.database.rows(_RECONCILED, parameters)
        except psycopg.errors.UndefinedTable:
            return {}  # before the first run of the batch
        return {symbol: (equal, different) for symbol, equal, different in rows}
