"""``/klines`` and ``/uiKlines``: candles in the exchange's twelve columns."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from crypto_analytics.api import candle_sql, intervals, responses
from crypto_analytics.api.context import Context
from crypto_analytics.api.parameters import Candles, End, Limit, Start, Symbol, TimeUnit

router = APIRouter()


@router.get("/klines", response_model=list[list[Any]], summary="Candles")
@router.get("/uiKlines", response_model=list[list[Any]], summary="Candles, as /klines")
async def klines(
    *, context: Context, symbol: Symbol, calendar: Candles, start: Start, end: End, limit: Limit, unit: TimeUnit
) -> Response:
    """Return candles, the oldest first; the newest one is open. Without startTime: the newest ones."""
    window = intervals.window(calendar, start, end)
    query = candle_sql.klines(calendar, newest_first=window.newest_first)
    parameters = candle_sql.parameters(calendar, symbol, window, limit) | {"unit": unit.per_second}
    [(rows,)] = await context.database.rows(query, parameters)
    return responses.json_text(f"[{rows}]")
