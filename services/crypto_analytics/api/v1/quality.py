"""``/v1/gaps``, ``/v1/freshness``, ``/v1/completeness`` and ``/v1/quality``."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from crypto_analytics.api import completeness as completeness_of
from crypto_analytics.api import platform_state
from crypto_analytics.api.context import Context
from crypto_analytics.api.intervals import DAY
from crypto_analytics.api.parameters import Limit, Symbols
from crypto_analytics.api.responses import milliseconds
from crypto_analytics.core.minutes import from_datetime, minute_of, to_datetime

router = APIRouter()

_GATE_RUNS = 20

_GAPS = """
select
    gap.symbol, gap.first_missing_id, gap.last_missing_id, gap.missing_count, gap.reason, gap.tried_at,
    around.first_time, around.last_time
from trade_id_gaps as gap
left join lateral (
    select min(open_time) as first_time, max(open_time) as last_time
    from fact_realtime_trades_1m as candle
    where candle.symbol = gap.symbol and not candle.is_complete
        and candle.first_trade_id <= gap.last_missing_id + 1 and candle.last_trade_id >= gap.first_missing_id - 1
) as around on true
where gap.symbol = any (%(symbols)s::text[])
order by gap.symbol, gap.first_missing_id desc
limit %(limit)s
"""


class Gap(BaseModel):
    """A run of missing trade ids, why it is open, and between which minutes it lies (milliseconds)."""

    symbol: str
    firstMissingId: int  # noqa: N815
    lastMissingId: int  # noqa: N815
    missingCount: int  # noqa: N815
    reason: str | None
    triedAt: int | None  # noqa: N815
    firstMinute: int | None  # noqa: N815
    lastMinute: int | None  # noqa: N815


class Freshness(BaseModel):
    """The newest candle and official kline of a symbol (their open times), and when a candle last changed."""

    symbol: str
    newestCandle: int | None  # noqa: N815
    newestOfficial: int | None  # noqa: N815
    newestChange: int | None  # noqa: N815
    newestChangeAgeSeconds: float | None  # noqa: N815


class Completeness(BaseModel):
    """The closed minutes of a day, counted from the symbol's first candle or kline on.

    ``complete``: official, or realtime with every trade, or without any trade.
    """

    symbol: str
    day: date
    minutes: int
    complete: int
    realtimeCandles: int  # noqa: N815
    realtimeComplete: int  # noqa: N815
    emptyMinutes: int  # noqa: N815
    officialKlines: int  # noqa: N815


class Gate(BaseModel):
    """A run of the quality gate. ``docsPath``: its page in the Data Docs, empty if it was not published."""

    runTime: int  # noqa: N815
    succeeded: bool
    expectations: int
    failed: int
    failures: list[str]
    docsPath: str  # noqa: N815


class Quality(BaseModel):
    """The newest runs of the gate, the newest first; minutes by reconciliation, null before the first batch."""

    gate: list[Gate]
    reconciliation: dict[str, int] | None
    lastBatch: int | None  # noqa: N815


@router.get("/gaps", summary="Missing trade ids")
async def gaps(context: Context, choice: Symbols, limit: Limit) -> list[Gap]:
    """Return the open gaps, the newest of each symbol first."""
    rows = await context.database.rows(_GAPS, {"symbols": choice.names, "limit": limit})
    return [
        Gap(
            symbol=symbol,
            firstMissingId=first,
            lastMissingId=last,
            missingCount=count,
            reason=reason,
            triedAt=milliseconds(tried_at),
            firstMinute=milliseconds(first_time),
            lastMinute=milliseconds(last_time),
        )
        for symbol, first, last, count, reason, tried_at, first_time, last_time in rows
    ]


@router.get("/freshness", summary="Age of the newest data")
async def freshness(context: Context, choice: Symbols) -> list[Freshness]:
    """Return how new the data of each symbol are."""
    return [
        Freshness(
            symbol=state.symbol,
            newestCandle=milliseconds(state.newest_candle),
            newestOfficial=milliseconds(state.newest_official),
            newestChange=milliseconds(state.changed_at),
            newestChangeAgeSeconds=None
            if state.changed_at is None
            else platform_state.seconds_since(context, state.changed_at),
        )
        for state in await platform_state.symbols(context, choice.names)
    ]


@router.get("/completeness", summary="Complete minutes of a day")
async def completeness(
    context: Context,
    choice: Symbols,
    day: Annotated[date | None, Query(description="UTC day, as in 2026-11-27; default: today")] = None,
) -> list[Completeness]:
    """Return how many minutes of a UTC day are complete."""
    now = minute_of(context.clock())
    start = now - now % DAY if day is None else from_datetime(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return [
        Completeness(
            symbol=found.symbol,
            day=to_datetime(start).date(),
            minutes=found.minutes,
            complete=found.complete,
            realtimeCandles=found.realtime_candles,
            realtimeComplete=found.realtime_complete,
            emptyMinutes=found.empty_minutes,
            officialKlines=found.official_klines,
        )
        for found in await completeness_of.of_day(context.database, choice.names, start, now)
    ]


@router.get("/quality", summary="Quality gate and reconciliation")
async def quality(context: Context) -> Quality:
    """Return what the quality gate and the reconciliation with the official klines found."""
    runs = await platform_state.gate_runs(context, _GATE_RUNS)
    return Quality(
        gate=[
            Gate(
                runTime=milliseconds(run.run_time),
                succeeded=run.succeeded,
                expectations=run.expectations,
                failed=run.failed,
                failures=run.failures,
                docsPath=run.docs_path,
            )
            for run in runs
        ],
        reconciliation=await platform_state.reconciled(context),
        lastBatch=milliseconds(await platform_state.last_batch(context)),
    )
