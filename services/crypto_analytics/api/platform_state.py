"""The state of the platform as PostgreSQL shows it, for ``/v1`` and ``/metrics``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg.errors import UndefinedTable

from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.intervals import DAY
from crypto_analytics.core.minutes import minute_of, to_datetime

# Each symbol by the indexes: its newest change, its last closed minute, today's closed candles, and its gaps.
_SYMBOLS = """
select
    named.symbol, changed.updated_at, newest.open_time, newest.close, official.open_time,
    coalesce(closed.volume, 0), coalesce(closed.quote_volume, 0), coalesce(closed.trade_count, 0),
    today.candles, today.complete, gaps.number, gaps.ids
from unnest(%(symbols)s::text[]) with ordinality as named (symbol, place)
left join lateral (
    select updated_at from fact_realtime_trades_1m as candle
    where candle.symbol = named.symbol order by revision desc limit 1
) as changed on true
left join lateral (
    select open_time, close from fact_realtime_trades_1m as candle
    where candle.symbol = named.symbol order by open_time desc limit 1
) as newest on true
left join lateral (
    select open_time from raw_klines as kline where kline.symbol = named.symbol order by open_time desc limit 1
) as official on true
left join fact_realtime_trades_1m as closed
    on closed.symbol = named.symbol and closed.open_time = %(minute)s - interval '1 minute'
cross join lateral (
    select count(*) as candles, count(*) filter (where is_complete) as complete
    from fact_realtime_trades_1m as candle
    where candle.symbol = named.symbol and candle.open_time >= %(day)s and candle.open_time < %(minute)s
) as today
cross join lateral (
    select count(*) as number, coalesce(sum(missing_count), 0)::bigint as ids
    from trade_id_gaps as gap where gap.symbol = named.symbol
) as gaps
order by named.place
"""

_GATE = """
select run_time, succeeded, expectations, failed, failures, docs_path
from quality_gate_runs order by run_time desc limit %s
"""

# Gold is built after the gate has passed, so the older of its tables is from the last batch that did.
_BATCH = "select min(built_at) from analytics.change_marks where model like 'gold%%'"

_RECONCILED = "select status, count(*) from analytics.reconciliation_klines_1m group by status"


class SymbolState(NamedTuple):
    """A symbol now; times are None if there is no candle or kline. Volumes are those of the last closed minute."""

    symbol: str
    changed_at: datetime | None
    newest_candle: datetime | None
    last_price: Decimal | None
    newest_official: datetime | None
    volume: Decimal
    quote_volume: Decimal
    trade_count: int
    candles_today: int
    complete_today: int
    gaps: int
    missing_ids: int


class GateRun(NamedTuple):
    """A run of the quality gate."""

    run_time: datetime
    succeeded: bool
    expectations: int
    failed: int
    failures: list[str]
    docs_path: str


async def symbols(context: ApiContext, names: Sequence[str]) -> list[SymbolState]:
    """Return the state of the symbols ``names``."""
    now = context.clock()
    parameters = {
        "symbols": list(names),
        "minute": to_datetime(minute_of(now)),
        "day": to_datetime(now - now % DAY),
    }
    return [SymbolState(*row) for row in await context.database.rows(_SYMBOLS, parameters)]


async def gate_runs(context: ApiContext, limit: int) -> list[GateRun]:
    """Return the newest runs of the quality gate, the newest first."""
    return [GateRun(*row) for row in await context.database.rows(_GATE, [limit])]


async def last_batch(context: ApiContext) -> datetime | None:
    """Return when a batch last built gold; None before the first one."""
    rows = await _if_built(context, _BATCH)
    return rows[0][0] if rows else None


async def reconciled(context: ApiContext) -> dict[str, int] | None:
    """Return the number of minutes by the status of their reconciliation; None before the first batch."""
    rows = await _if_built(context, _RECONCILED)
    return None if rows is None else dict(rows)


async def _if_built(context: ApiContext, query: str) -> list[tuple[Any, ...]] | None:
    try:
        return await context.database.rows(query)
    except UndefinedTable:
        return None


def seconds_since(context: ApiContext, moment: datetime) -> float:
    """Return the age of ``moment`` by the platform's clock, in seconds; never negative."""
    return max(0.0, (to_datetime(context.clock()) - moment).total_seconds())
