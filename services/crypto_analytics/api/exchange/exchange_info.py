"""``/exchangeInfo``, ``/time`` and ``/ping``."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from crypto_analytics.api import responses
from crypto_analytics.api.context import Context
from crypto_analytics.api.parameters import Symbols, TimeUnit
from crypto_analytics.api.symbols import MOST_DECIMALS, Decimals, SymbolLife
from crypto_analytics.core.decimals import format_scaled

router = APIRouter()

_QUOTE_ASSETS = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "USDP", "USD1", "BTC", "ETH", "BNB", "EUR", "GBP", "AUD", "TRY",
    "BRL", "JPY", "ARS", "COP", "CZK", "MXN", "PLN", "RON", "RUB", "UAH", "ZAR", "IDRT", "NGN", "BIDR", "VAI", "XRP",
    "TRX", "DOGE", "SOL", "PAX", "USDS",
)  # fmt: skip
_LARGEST = "92141578.00000000"


@router.get("/ping", response_model=dict[str, Any], summary="Test of the connection")
async def ping() -> Response:
    """Return an empty object."""
    return responses.json({})


@router.get("/time", response_model=dict[str, Any], summary="Time of the server")
async def server_time(context: Context, unit: TimeUnit) -> Response:
    """Return the time of the platform, which stands still if AS_OF is set."""
    return responses.json({"serverTime": unit.of(context.clock())})


@router.get("/exchangeInfo", response_model=dict[str, Any], summary="Symbols and limits")
async def exchange_info(context: Context, choice: Symbols, unit: TimeUnit) -> Response:
    """Return the symbols with data, and the limit of request weight. A retired symbol has the status BREAK."""
    known = await context.symbols.known()
    limit = {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": context.settings.API_WEIGHT_PER_MINUTE,
    }
    return responses.json(
        {
            "timezone": "UTC",
            "serverTime": unit.of(context.clock()),
            "rateLimits": [limit],
            "exchangeFilters": [],
            "symbols": [_symbol(known[name], await context.symbols.decimals_of(name)) for name in choice.names],
        }
    )


def _symbol(life: SymbolLife, decimals: Decimals) -> dict[str, object]:
    base, quote = assets_of(life.symbol)
    tick, lot = (format_scaled(10 ** (MOST_DECIMALS - places)) for places in decimals)
    return {
        "symbol": life.symbol,
        "status": "BREAK" if life.status == "retired" else "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": MOST_DECIMALS,
        "quoteAsset": quote,
        "quotePrecision": MOST_DECIMALS,
        "quoteAssetPrecision": MOST_DECIMALS,
        "baseCommissionPrecision": MOST_DECIMALS,
        "quoteCommissionPrecision": MOST_DECIMALS,
        "orderTypes": [],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": _LARGEST, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": _LARGEST, "stepSize": lot},
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
    }


def assets_of(symbol: str) -> tuple[str, str]:
    """Return base and quote asset of ``symbol``; the quote asset is the longest known one that it ends with."""
    for quote in sorted(_QUOTE_ASSETS, key=len, reverse=True):
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol, ""
