"""``/aggTrades``, ``/trades`` and ``/historicalTrades``, from the raw archive of the last seven days.

The stream has single trades, so each is a row of ``/aggTrades`` of its own, whose id is that of the trade. Only trades
that were repaired from the exchange's aggregated ones cover several ids in one row.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from crypto_analytics.api import responses
from crypto_analytics.api.context import Context
from crypto_analytics.api.errors import ApiError
from crypto_analytics.api.parameters import End, Limit, Start, Symbol, TimeUnit, TradeId
from crypto_analytics.api.time_unit import Unit
from crypto_analytics.api.trade_archive import ArchivedTrade, TradeQuery
from crypto_analytics.core.decimals import UNIT, format_scaled, parse_scaled

router = APIRouter()

FromId = Annotated[TradeId | None, Query(description="the first trade id; without it: the newest trades")]


@router.get("/trades", response_model=list[dict[str, Any]], summary="Newest trades")
async def newest_trades(*, context: Context, symbol: Symbol, limit: Limit, unit: TimeUnit) -> Response:
    """Return the newest trades, the oldest first."""
    trades = await context.archive.trades(TradeQuery(symbol, limit), context.clock())
    return responses.json([_trade_row(trade, unit) for trade in trades])


@router.get("/historicalTrades", response_model=list[dict[str, Any]], summary="Trades from an id on")
async def historical_trades(
    *,
    context: Context,
    symbol: Symbol,
    limit: Limit,
    unit: TimeUnit,
    fromId: FromId = None,  # noqa: N803
) -> Response:
    """Return trades of the last seven days from an id on, or the newest ones."""
    trades = await context.archive.trades(TradeQuery(symbol, limit, fromId), context.clock())
    return responses.json([_trade_row(trade, unit) for trade in trades])


@router.get("/aggTrades", response_model=list[dict[str, Any]], summary="Trades by id or time")
async def aggregated_trades(
    *,
    context: Context,
    symbol: Symbol,
    limit: Limit,
    unit: TimeUnit,
    start: Start,
    end: End,
    fromId: FromId = None,  # noqa: N803
) -> Response:
    """Return trades of the last seven days from an id or a time on, or the newest ones."""
    if fromId is not None and (start is not None or end is not None):
        raise ApiError.combination()
    trades = await context.archive.trades(TradeQuery(symbol, limit, fromId, start, end), context.clock())
    return responses.json([_aggregate_row(trade, unit) for trade in trades])


def _trade_row(trade: ArchivedTrade, unit: Unit) -> dict[str, object]:
    return {
        "id": trade.first_id,
        "price": trade.price,
        "qty": trade.quantity,
        # The exchange truncates the product to 8 decimals.
        "quoteQty": format_scaled(parse_scaled(trade.price) * parse_scaled(trade.quantity) // UNIT),
        "time": unit.of(trade.time),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": trade.is_best_match,
    }


def _aggregate_row(trade: ArchivedTrade, unit: Unit) -> dict[str, object]:
    return {
        "a": trade.first_id,
        "p": trade.price,
        "q": trade.quantity,
        "f": trade.first_id,
        "l": trade.last_id,
        "T": unit.of(trade.time),
        "m": trade.buyer_is_maker,
        "M": trade.is_best_match,
    }
