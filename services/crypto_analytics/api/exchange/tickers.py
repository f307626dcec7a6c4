"""``/ticker/24hr`` and ``/ticker/price``."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from crypto_analytics.api import candle_sql, responses
from crypto_analytics.api.context import Context
from crypto_analytics.api.intervals import DAY, INTERVALS, Calendar, Window
from crypto_analytics.api.parameters import SymbolChoice, Symbols, TimeUnit
from crypto_analytics.core.minutes import MINUTE, minute_of

router = APIRouter(prefix="/ticker")

_FULL_ONLY = frozenset({"priceChange", "priceChangePercent", "weightedAvgPrice"})

_PRICES = """
select json_build_object('symbol', symbol, 'price', price::text)::text
from (
    select
        named.symbol, named.place,
        (
            select newest.close
            from (
                (
                    select open_time, close, 1 as preference
                    from fact_realtime_trades_1m as candle
                    where candle.symbol = named.symbol order by open_time desc limit 1
                )
                union all
                (
                    select open_time, close, 2
                    from raw_klines as kline
                    where kline.symbol = named.symbol order by open_time desc limit 1
                )
            ) as newest
            order by newest.open_time desc, newest.preference
            limit 1
        ) as price
    from unnest(%(symbols)s::text[]) with ordinality as named (symbol, place)
) as prices
where price is not null
order by place
"""


@router.get("/price", response_model=dict[str, Any] | list[dict[str, Any]], summary="Last price")
async def prices(context: Context, choice: Symbols) -> Response:
    """Return the last price of the symbols that have one."""
    rows = await context.database.rows(_PRICES, {"symbols": choice.names})
    return _answer([text for (text,) in rows], choice)


@router.get("/24hr", response_model=dict[str, Any] | list[dict[str, Any]], summary="Statistics of 24 hours")
async def day(
    context: Context,
    choice: Symbols,
    unit: TimeUnit,
    type: Annotated[  # noqa: A002  # the exchange's name
        Literal["FULL", "MINI"], Query(description="MINI: without changes and average")
    ] = "FULL",
) -> Response:
    """Return the statistics of the last 1,440 minutes; the last one is open. There is no bid and no ask."""
    now = context.clock()
    calendar = Calendar(INTERVALS["1m"])
    until = minute_of(now) + MINUTE
    window = Window(until - DAY, until, newest_first=False)
    times = {"open_time": unit.of(window.start), "close_time": unit.of(now)}
    texts = []
    for symbol in choice.names:
        parameters = candle_sql.parameters(calendar, symbol, window, DAY // MINUTE) | times
        [(text,)] = await context.database.rows(candle_sql.day_ticker(), parameters)
        texts.append(text)
    if type == "MINI":
        tickers = [msgspec.json.decode(text) for text in texts]
        texts = [msgspec.json.encode(_mini(ticker)).decode() for ticker in tickers]
    return _answer(texts, choice)


def _mini(ticker: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ticker.items() if name not in _FULL_ONLY}


def _answer(texts: list[str], choice: SymbolChoice) -> Response:
    if choice.is_single:
        return responses.json_text(texts[0] if texts else "{}")
    return responses.json_text(f"[{','.join(texts)}]")
