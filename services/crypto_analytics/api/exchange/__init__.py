"""The exchange's REST protocol for market data, under ``/api/v3``.

Reference: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (Market Data endpoints).
"""

from fastapi import APIRouter, Depends

from crypto_analytics.api.errors import RESPONSES
from crypto_analytics.api.exchange import exchange_info, klines, tickers, trades
from crypto_analytics.api.parameters import check_parameters

router = APIRouter(
    prefix="/api/v3", tags=["exchange protocol"], dependencies=[Depends(check_parameters)], responses=RESPONSES
)
for part in (exchange_info, klines, tickers, trades):
    router.include_router(part.router)
