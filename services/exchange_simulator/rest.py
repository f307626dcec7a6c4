"""The exchange's public REST interface for market data, up to the simulator's clock.

Reference: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (Market Data endpoints).
Times are in milliseconds, or in microseconds with the header ``X-MBX-TIME-UNIT: MICROSECOND``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
from aiohttp import web

from exchange_simulator import metrics, rest_rows
from exchange_simulator.api_errors import ApiError
from exchange_simulator.faults import ArmedRestFaults, RestSlow
from exchange_simulator.klines import ZERO, combine, eight_decimals, flat_kline
from exchange_simulator.market_history import MarketHistory
from exchange_simulator.query import Query
from exchange_simulator.request_weights import LIMIT_PER_MINUTE, WeightMeter, weight_of
from exchange_simulator.symbols import assets_of
from exchange_simulator.times import MINUTE, minute_of

Answer = Callable[[web.Request], Awaitable[object]]
_DAY_MINUTES = 24 * 60


class Rest:
    """The endpoints over ``history``; ``clock`` returns the simulator's time in microseconds."""

    def __init__(
        self,
        history: MarketHistory,
        clock: Callable[[], int],
        faults: ArmedRestFaults,
        meter: WeightMeter,
        *,
        enforce_weight: bool,
    ) -> None:
        self._history = history
        self._symbols = history.market.symbols
        self._clock = clock
        self._faults = faults
        self._meter = meter
        self._enforce = enforce_weight

    def routes(self) -> list[web.RouteDef]:
        """Return all endpoints."""
        answers: dict[str, Answer] = {
            "/api/v3/ping": self._ping,
            "/api/v3/time": self._time,
            "/api/v3/exchangeInfo": self._exchange_info,
            "/api/v3/klines": self._klines,
            "/api/v3/aggTrades": self._agg_trades,
            "/api/v3/trades": self._latest_trades,
            "/api/v3/historicalTrades": self._historical_trades,
            "/api/v3/ticker/24hr": self._ticker,
        }
        return [web.get(path, self._handler(path, answer)) for path, answer in answers.items()]

    def _handler(self, path: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return a handler that adds faults, weights, errors and headers to ``answer``."""

        async def handle(request: web.Request) -> web.Response:
            used = self._meter.charge(request.remote or "", weight_of(path, self._named_symbols(request)))
            headers = {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}
            try:
                await self._apply_fault(path)
                if self._enforce and used > LIMIT_PER_MINUTE:
                    raise ApiError.too_much_weight(LIMIT_PER_MINUTE, self._meter.seconds_left())
                status, body = 200, await answer(request)
            except ApiError as error:
                status, body = error.status, {"code": error.code, "msg": error.message}
                if error.retry_after is not None:
                    headers["Retry-After"] = str(error.retry_after)
            metrics.REST_REQUESTS.labels(path, str(status)).inc()
            return web.Response(
                body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json"
            )

        return handle

    async def _apply_fault(self, path: str) -> None:
        fault = self._faults.take(path)
        if isinstance(fault, RestSlow):
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            raise ApiError.scripted(fault.status, fault.retry_after)

    def _named_symbols(self, request: web.Request) -> int | None:
        try:
            symbols = self._query(request).symbols()
        except ApiError:
            return 1  # the request is refused anyway
        return None if symbols is None else len(symbols)

    def _query(self, request: web.Request) -> Query:
        return Query(request.query, self._symbols)

    async def _ping(self, request: web.Request) -> object:
        return {}

    async def _time(self, request: web.Request) -> object:
        return {"serverTime": _unit(request)(self._clock())}

    async def _exchange_info(self, request: web.Request) -> object:
        symbols = self._query(request).symbols() or self._symbols
        return {
            "timezone": "UTC",
            "serverTime": _unit(request)(self._clock()),
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT_PER_MINUTE}
            ],
            "exchangeFilters": [],
            "symbols": [self._symbol_info(symbol) for symbol in symbols],
        }

    def _symbol_info(self, symbol: str) -> dict[str, object]:
        base, quote = assets_of(symbol)
        precision = self._history.market.precision(symbol)
        tick, lot = (eight_decimals(Decimal(1).scaleb(-decimals)) for decimals in precision)
        return {
            "symbol": symbol,
            "status": "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "isSpotTradingAllowed": True,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000.00000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "92141578.00000000", "stepSize": lot},
            ],
        }

    async def _klines(self, request: web.Request) -> object:
        query = self._query(request)
        symbol, length, limit = query.symbol(), query.interval(), query.limit()
        klines = await self._history.klines(
            symbol, length, limit=limit, until=self._clock(), start=query.start(), end=query.end()
        )
        return [rest_rows.kline_row(kline, _unit(request)) for kline in klines]

    async def _agg_trades(self, request: web.Request) -> object:
        query = self._query(request)
        symbol, limit, until = query.symbol(), query.limit(), self._clock()
        first_id, start, end = query.integer("fromId"), query.start(), query.end()
        if first_id is not None and (start is not None or end is not None):
            raise ApiError(400, -1128, "Combination of optional parameters invalid.")
        if end is not None:
            until = min(until, end)
        if first_id is not None:
            aggregates = self._history.aggregates_from(symbol, first_id, limit, until)
        elif start is not None:
            aggregates = self._history.aggregates_since(symbol, start, limit, until)
        else:
            aggregates = self._history.latest_aggregates(symbol, limit, until)
        return [rest_rows.aggregate_row(aggregate, _unit(request)) for aggregate in aggregates]

    async def _latest_trades(self, request: web.Request) -> object:
        query = self._query(request)
        trades = self._history.latest_trades(query.symbol(), query.limit(), self._clock())
        return [rest_rows.trade_row(trade, _unit(request)) for trade in trades]

    async def _historical_trades(self, request: web.Request) -> object:
        query = self._query(request)
        first_id = query.integer("fromId")
        if first_id is None:
            return await self._latest_trades(request)
        trades = self._history.trades_from(query.symbol(), first_id, query.limit(), self._clock())
        return [rest_rows.trade_row(trade, _unit(request)) for trade in trades]

    async def _ticker(self, request: web.Request) -> object:
        query = self._query(request)
        symbols = query.symbols()
        tickers = [await self._ticker_of(symbol, _unit(request)) for symbol in symbols or self._symbols]
        return tickers[0] if "symbol" in request.query else tickers

    async def _ticker_of(self, symbol: str, unit: rest_rows.Unit) -> dict[str, object]:
        """Return the statistics of the last 1440 minutes; the last one is still open."""
        until = self._clock()
        begin = minute_of(until) - (_DAY_MINUTES - 1) * MINUTE
        klines = await self._history.klines(symbol, MINUTE, limit=_DAY_MINUTES, until=until, start=begin)
        day = combine(begin, until - begin, klines) if klines else flat_kline(begin, until - begin, ZERO)
        first = self._history.first_trade(symbol, begin, until)
        last = None if first is None else self._history.latest_trade(symbol, until)
        return rest_rows.ticker_row(symbol, day, first, last, unit)


def _unit(request: web.Request) -> rest_rows.Unit:
    """Return the conversion from microseconds to the request's unit."""
    if request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND":
        return lambda microseconds: microseconds
    return lambda microseconds: microseconds // 1000
