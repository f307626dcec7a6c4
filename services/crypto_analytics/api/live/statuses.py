"""The event ``status`` of /v1/live: what is known about a symbol today, read for all watched symbols together."""

import asyncio
import time
from typing import Any, LiteralString

import psycopg

from crypto_analytics.api import metrics
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

# A day without a candle before it began with its first one.
_TODAY: LiteralString = """
select
    known.symbol, today.complete, gaps.number,
    (extract(epoch from (
        select coalesce(min(candle.open_time), %(day)s)
        from fact_realtime_trades_1m as candle
        where candle.symbol = known.symbol and candle.open_time >= %(day)s and not exists (
            select from fact_realtime_trades_1m as older where older.symbol = known.symbol and older.open_time < %(day)s
        )
    )) * 1000000)::bigint,
    (extract(epoch from (
        select candle.updated_at
        from fact_realtime_trades_1m as candle
        where candle.symbol = known.symbol
        order by candle.open_time desc limit 1
    )) * 1000000)::bigint
from (select symbol from unnest(%(symbols)s::text[]) as symbol) as known
cross join lateral (
    select count(*) filter (where candle.is_complete) as complete
    from fact_realtime_trades_1m as candle
    where candle.symbol = known.symbol and candle.open_time >= %(day)s and candle.open_time < %(minute)s
) as today
cross join lateral (select count(*) as number from trade_id_gaps as gap where gap.symbol = known.symbol) as gaps
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
        self._changed: dict[str, int] = {}

    def changed(self, symbol: str, updated_at: int) -> None:
        """Note that a candle of ``symbol`` changed at ``updated_at`` (microseconds)."""
        self._changed[symbol.lower()] = updated_at

    def newest(self, stream: Stream) -> list[Pushed]:
        """Return the newest status as a message, or nothing before it is known."""
        fields = self._fields.get(stream.symbol)
        if fields is None:
            return []
        now = self._context.clock()
        changed = self._changed.get(stream.symbol, 0) // _MILLISECOND
        newest = max(changed, fields["newestTradeTime"] or 0) or None
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
        now = self._context.clock()
        day, minute = now - now % DAY, minute_of(now)
        known = await self._context.symbols.known()
        parameters = {
            "symbols": [symbol for symbol in known if symbol.lower() in watched],
            "day": to_datetime(day),
            "minute": to_datetime(minute),
        }
        metrics.PUSH_QUERIES.inc()
        rows = await self._context.database.rows(_TODAY, parameters)
        reconciled = await self._reconciled(parameters)
        for symbol, complete, gaps, begin, newest in rows:
            equal, different = reconciled.get(symbol, (0, 0))
            self._fields[symbol.lower()] = {
                "symbol": symbol,
                "minutes": max(0, minute - begin) // MINUTE,
                "complete": complete,
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
