"""``/v1/candles``: candles with what is known about them."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from crypto_analytics.api import intervals, responses
from crypto_analytics.api.context import Context
from crypto_analytics.api.parameters import Candles, End, IntervalName, Limit, Start, Symbol
from crypto_analytics.api.v1 import candle_query

router = APIRouter()


class Candle(BaseModel):
    """A candle. Times are milliseconds; prices and volumes are decimal strings, as exact as they are stored.

    ``source`` official: the numbers are the exchange's kline; realtime: at least one minute is merged from trades;
    empty: the trade ids prove that nothing was traded. ``missingIds`` counts the trade ids that are missing between the
    first and the last trade of its realtime minutes. ``reconciled`` is null before the batch has compared the candle.
    """

    symbol: str
    interval: IntervalName
    openTime: int  # noqa: N815
    closeTime: int  # noqa: N815
    open: str
    high: str
    low: str
    close: str
    volume: str
    quoteVolume: str  # noqa: N815
    tradeCount: int  # noqa: N815
    takerBuyVolume: str  # noqa: N815
    takerBuyQuoteVolume: str  # noqa: N815
    complete: bool
    closed: bool
    missingIds: int  # noqa: N815
    verifiedAbsentIds: int  # noqa: N815
    source: Literal["realtime", "official", "empty"]
    reconciled: Literal["equal", "different", "official only", "realtime only"] | None
    differences: list[str]
    revision: int


@router.get("/candles", response_model=list[Candle], summary="Candles with completeness, source and reconciliation")
async def candles(
    *, context: Context, symbol: Symbol, calendar: Candles, start: Start, end: End, limit: Limit
) -> Response:
    """Return candles, the oldest first; times and limit are as in /api/v3/klines."""
    window = intervals.window(calendar, start, end)
    rows = await candle_query.read(context, calendar, symbol, window, limit)
    return responses.json_text(f"[{rows}]")
