"""``/v1``: what the exchange's protocol does not have: completeness, gaps, sources, reconciliation, quality, health."""

from fastapi import APIRouter, Depends

from crypto_analytics.api.errors import RESPONSES
from crypto_analytics.api.parameters import check_parameters
from crypto_analytics.api.v1 import candles, health, quality, symbols

router = APIRouter(
    prefix="/v1", tags=["quality of the data"], dependencies=[Depends(check_parameters)], responses=RESPONSES
)
for part in (candles, symbols, quality, health):
    router.include_router(part.router)
