"""``/aggTrades``, ``/trades`` and ``/historicalTrades``."""

from fastapi import APIRouter

router = APIRouter()
