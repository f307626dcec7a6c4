"""Candles whose time is over, as ``/v1/candles`` shows them: an official kline replaces the realtime numbers."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from crypto_analytics.api import metrics
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.intervals import Calendar, Window
from crypto_analytics.api.live.bars import Bar, scaled
from crypto_analytics.api.v1 import candle_query

_MOST_CANDLES = 1_000

Candle = dict[str, Any]


async def read(context: ApiContext, symbol: str, calendar: Calendar, starts: Iterable[int]) -> dict[int, Candle]:
    """Return the candles that open at ``starts``, by their open times; one query for those that follow one another.

    Raises StoreUnavailable and QueryTooSlow.
    """
    found: dict[int, Candle] = {}
    for run in _runs(calendar, sorted(starts)):
        window = Window(run[0], calendar.end_of(run[-1]), newest_first=False)
        metrics.PUSH_QUERIES.inc()
        rows = await candle_query.read(context, calendar, symbol, window, len(run))
        found |= {candle["openTime"] * 1_000: candle for candle in json.loads(f"[{rows}]")}
    return found


def _runs(calendar: Calendar, starts: list[int]) -> Iterator[list[int]]:
    """Divide open times into runs of candles that follow one another."""
    run: list[int] = []
    for start in starts:
        if run and (calendar.end_of(run[-1]) != start or len(run) == _MOST_CANDLES):
            yield run
            run = []
        run.append(start)
    if run:
        yield run


def numbers_of(candle: Candle, bar: Bar) -> Bar:
    """Return ``bar`` with the prices and volumes of ``candle``; trade ids are known of realtime candles only."""
    return bar._replace(
        open=scaled(candle["open"]),
        high=scaled(candle["high"]),
        low=scaled(candle["low"]),
        close=scaled(candle["close"]),
        volume=scaled(candle["volume"]),
        quote_volume=scaled(candle["quoteVolume"]),
        trade_count=candle["tradeCount"],
        taker_buy_volume=scaled(candle["takerBuyVolume"]),
        taker_buy_quote_volume=scaled(candle["takerBuyQuoteVolume"]),
    )
