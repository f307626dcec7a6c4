"""Reads from PostgreSQL which candles changed, and the candles of windows that are not in memory.

Each query is for all clients: their number does not change the number of queries.
"""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

from crypto_analytics.api import metrics
from crypto_analytics.api.database import Database
from crypto_analytics.api.live.bars import Bar, Span, scaled
from crypto_analytics.store.candle_changes import CHANGES, NEWEST_REVISIONS, CandleChange

_MOST_ROWS = 1_000

_NEWEST_MINUTES: LiteralString = """
select known.symbol, (extract(epoch from newest.open_time) * 1000000)::bigint
from unnest(%s::text[]) as known (symbol)
cross join lateral (
    select candle.open_time
    from fact_realtime_trades_1m as candle
    where candle.symbol = known.symbol
    order by candle.open_time desc
    limit 1
) as newest
"""

_MINUTES: LiteralString = """
select
    (extract(epoch from open_time) * 1000000)::bigint, open::text, high::text, low::text, close::text, volume::text,
    quote_volume::text, trade_count, taker_buy_volume::text, taker_buy_quote_volume::text,
    first_trade_id, last_trade_id, is_complete, verified_absent_count,
    last_trade_id - first_trade_id + 1 - trade_count - verified_absent_count, revision
from fact_realtime_trades_1m
where
    symbol = %(symbol)s
    and open_time >= timestamptz 'epoch' + %(start)s * interval '1 microsecond'
    and open_time < timestamptz 'epoch' + %(end)s * interval '1 microsecond'
order by open_time
"""

_HOURS: LiteralString = """
select
    (extract(epoch from hour) * 1000000)::bigint, (array_agg(open order by open_time))[1]::text, max(high)::text,
    min(low)::text, (array_agg(close order by open_time desc))[1]::text, sum(volume)::text, sum(quote_volume)::text,
    sum(trade_count)::bigint, sum(taker_buy_volume)::text, sum(taker_buy_quote_volume)::text,
    min(first_trade_id), max(last_trade_id), bool_and(is_complete), sum(verified_absent_count)::bigint,
    sum(last_trade_id - first_trade_id + 1 - trade_count - verified_absent_count)::bigint, max(revision)
from (
    select date_bin('1 hour', open_time, timestamptz 'epoch') as hour, *
    from fact_realtime_trades_1m
    where
        symbol = %(symbol)s
        and open_time >= timestamptz 'epoch' + %(start)s * interval '1 microsecond'
        and open_time < timestamptz 'epoch' + %(end)s * interval '1 microsecond'
) as candle
group by hour
"""


class Changes:
    """The change feed: each call returns the candles that changed since the one before it.

    Its methods raise StoreUnavailable and QueryTooSlow; nothing is skipped then.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revisions: dict[str, int] = {}
        self._has_started = False

    async def start(self) -> dict[str, int]:
        """Begin with the changes after now; return the newest minute of each symbol."""
        newest = await self._newest()
        minutes = await self._rows(_NEWEST_MINUTES, [list(newest)])
        self._revisions = newest
        self._has_started = True
        return dict(minutes)

    @property
    def has_started(self) -> bool:
        """Return whether :meth:`start` has succeeded."""
        return self._has_started

    async def changed_symbols(self) -> set[str]:
        """Return the symbols with changes. Looks at all symbols, which needs no notification.

        A revision below a known one means that the database was restored from a backup: the feed begins anew then.
        """
        newest = await self._newest()
        if any(newest.get(symbol, -1) < known for symbol, known in self._revisions.items()):
            self._has_started = False
            return set()
        return {symbol for symbol, revision in newest.items() if revision > self._revisions.get(symbol, -1)}

    async def read(self, symbols: Iterable[str]) -> tuple[list[CandleChange], set[str]]:
        """Return changed candles of ``symbols`` as they are now, and the symbols that may have more."""
        wanted = sorted(symbols)
        revisions = [self._revisions.get(symbol, -1) for symbol in wanted]
        rows = await self._rows(CHANGES, {"symbols": wanted, "revisions": revisions, "limit": _MOST_ROWS})
        changes = [CandleChange(*row) for row in rows]
        counts = dict.fromkeys(wanted, 0)
        for change in changes:
            self._revisions[change.symbol] = change.revision
            counts[change.symbol] += 1
        return changes, {symbol for symbol, count in counts.items() if count == _MOST_ROWS}

    async def minutes(self, symbol: str, hour: Span) -> dict[int, Bar]:
        """Return the candles of a time range by their open times."""
        rows = await self._rows(_MINUTES, {"symbol": symbol, "start": hour.start, "end": hour.end})
        return {row[0]: _bar(row[1:]) for row in rows}

    async def hours(self, symbol: str, span: Span) -> dict[int, Bar]:
        """Return a bar for each hour of a time range that has candles, by its start."""
        rows = await self._rows(_HOURS, {"symbol": symbol, "start": span.start, "end": span.end})
        return {row[0]: _bar(row[1:]) for row in rows}

    async def _newest(self) -> dict[str, int]:
        return dict(await self._rows(NEWEST_REVISIONS, ()))

    async def _rows(self, query: LiteralString, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        metrics.PUSH_QUERIES.inc()
        return await self._database.rows(query, parameters)


def _bar(row: tuple[Any, ...]) -> Bar:
    return Bar._make(scaled(value) if isinstance(value, str) else value for value in row)
