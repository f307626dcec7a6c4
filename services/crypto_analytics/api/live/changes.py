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

# A minute is the official kline if there is one, as in candle_sql. Empty minutes change no sum.
_KNOWN: LiteralString = """
with known as (
    select
        open_time,
        coalesce(official.open, candle.open) as open,
        coalesce(official.high, candle.high) as high,
        coalesce(official.low, candle.low) as low,
        coalesce(official.close, candle.close) as close,
        coalesce(official.volume, candle.volume) as volume,
        coalesce(official.quote_volume, candle.quote_volume) as quote_volume,
        coalesce(official.trade_count, candle.trade_count) as trade_count,
        coalesce(official.taker_buy_volume, candle.taker_buy_volume) as taker_buy_volume,
        coalesce(official.taker_buy_quote_volume, candle.taker_buy_quote_volume) as taker_buy_quote_volume,
        candle.first_trade_id,
        candle.last_trade_id,
        official.symbol is not null or candle.is_complete as is_complete,
        coalesce(candle.verified_absent_count, 0) as verified_absent_count,
        coalesce(
            candle.last_trade_id - candle.first_trade_id + 1 - candle.trade_count - candle.verified_absent_count, 0
        ) as missing_id_count,
        coalesce(candle.revision, 0) as revision,
        official.symbol is not null as is_official
    from (
        select *
        from fact_realtime_trades_1m
        where
            symbol = %(symbol)s
            and open_time >= timestamptz 'epoch' + %(start)s * interval '1 microsecond'
            and open_time < timestamptz 'epoch' + %(end)s * interval '1 microsecond'
    ) as candle
    full join (
        select *
        from raw_klines
        where
            symbol = %(symbol)s
            and open_time >= timestamptz 'epoch' + %(start)s * interval '1 microsecond'
            and open_time < timestamptz 'epoch' + %(end)s * interval '1 microsecond'
    ) as official using (open_time)
)
"""

_MINUTES: LiteralString = """
select
    (extract(epoch from open_time) * 1000000)::bigint, open::text, high::text, low::text, close::text, volume::text,
    quote_volume::text, trade_count, taker_buy_volume::text, taker_buy_quote_volume::text,
    first_trade_id, last_trade_id, is_complete, verified_absent_count, missing_id_count, revision, is_official
from known
order by open_time
"""

_HOURS: LiteralString = """
select
    (extract(epoch from hour) * 1000000)::bigint, (array_agg(open order by open_time))[1]::text, max(high)::text,
    min(low)::text, (array_agg(close order by open_time desc))[1]::text, sum(volume)::text, sum(quote_volume)::text,
    sum(trade_count)::bigint, sum(taker_buy_volume)::text, sum(taker_buy_quote_volume)::text,
    min(first_trade_id), max(last_trade_id), bool_and(is_complete), sum(verified_absent_count)::bigint,
    sum(missing_id_count)::bigint, max(revision), bool_or(is_official)
from (select date_bin('1 hour', open_time, timestamptz 'epoch') as hour, * from known) as minute
group by hour
"""

# The time is that of the start of a transaction, so one is found that takes up to ten minutes.
_OFFICIAL_HOURS: LiteralString = """
select symbol, (extract(epoch from hour) * 1000000)::bigint, count(*), max(updated_at)
from (
    select symbol, date_bin('1 hour', open_time, timestamptz 'epoch') as hour, updated_at
    from raw_klines
    where updated_at > now() - interval '10 minutes'
) as kline
group by symbol, hour
"""


class Changes:
    """The change feed: each call returns the candles that changed since the one before it.

    Its methods raise StoreUnavailable and QueryTooSlow; nothing is skipped then.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revisions: dict[str, int] = {}
        self._official_hours: dict[tuple[str, int], tuple[Any, ...]] = {}
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

    async def official_hours(self) -> list[tuple[str, int]]:
        """Return symbol and start of each hour whose official klines have changed since the call before."""
        found = {row[:2]: row[2:] for row in await self._rows(_OFFICIAL_HOURS, ())}
        changed = [hour for hour, state in found.items() if self._official_hours.get(hour) != state]
        self._official_hours = found
        return changed

    async def minutes(self, symbol: str, hour: Span) -> dict[int, Bar]:
        """Return the candles of a time range by their open times."""
        rows = await self._rows(_KNOWN + _MINUTES, {"symbol": symbol, "start": hour.start, "end": hour.end})
        return {row[0]: _bar(row[1:]) for row in rows}

    async def hours(self, symbol: str, span: Span) -> dict[int, Bar]:
        """Return a bar for each hour of a time range that has candles, by its start."""
        rows = await self._rows(_KNOWN + _HOURS, {"symbol": symbol, "start": span.start, "end": span.end})
        return {row[0]: _bar(row[1:]) for row in rows}

    async def _newest(self) -> dict[str, int]:
        return dict(await self._rows(NEWEST_REVISIONS, ()))

    async def _rows(self, query: LiteralString, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        metrics.PUSH_QUERIES.inc()
        return await self._database.rows(query, parameters)


def _bar(row: tuple[Any, ...]) -> Bar:
    return Bar._make(scaled(value) if isinstance(value, str) else value for value in row)
