"""The limit of request weight for each client address, its headers, and the metrics of requests.

Weights are the exchange's: https://developers.binance.com/docs/binance-spot-api-docs/rest-api.
"""

import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crypto_analytics.api import metrics
from crypto_analytics.api.errors import ApiError

_WEIGHTS = {
    "/api/v3/exchangeInfo": 20,
    "/api/v3/klines": 2,
    "/api/v3/uiKlines": 2,
    "/api/v3/aggTrades": 4,
    "/api/v3/trades": 25,
    "/api/v3/historicalTrades": 25,
}
_PREFIXES = ("/api/", "/v1/")
_OTHER = "other"


def weight_of(path: str, query: bytes) -> int:
    """Return the weight of a request."""
    if path == "/api/v3/ticker/price":
        return 2 if b"symbol=" in query else 4
    if path == "/api/v3/ticker/24hr":
        symbols = _number_of_symbols(query)
        return 80 if symbols is None or symbols > 100 else 2 if symbols <= 20 else 40
    if path.startswith("/v1/"):
        return 2
    return _WEIGHTS.get(path, 1)


def _number_of_symbols(query: bytes) -> int | None:
    """Return how many symbols are named; None: all."""
    named = parse_qs(query.decode("latin-1"))
    if "symbol" in named:
        return 1
    return named["symbols"][0].count(",") + 1 if "symbols" in named else None


class WeightMeter:
    """Weight that each address has used in the current minute; ``now`` returns seconds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._minute = 0
        self._used: Counter[str] = Counter()

    def charge(self, address: str, weight: int) -> int:
        """Add ``weight`` and return what ``address`` has used in this minute."""
        minute = int(self._now() // 60)
        if minute != self._minute:
            self._minute = minute
            self._used.clear()
        self._used[address] += weight
        return self._used[address]

    def seconds_left(self) -> int:
        """Return the seconds to the next minute, at least one."""
        return max(1, 60 - int(self._now() % 60))


class RequestLimits:
    """Middleware: charges requests of the API, answers 429 beyond the limit, and counts and times all requests."""

    def __init__(self, app: ASGIApp, limit: int, meter: WeightMeter | None = None) -> None:
        self._app = app
        self._limit = limit
        self._meter = meter or WeightMeter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        used = None
        if scope["path"].startswith(_PREFIXES):
            client = scope["client"]
            used = self._meter.charge(client[0] if client else "", weight_of(scope["path"], scope["query_string"]))

        async def send_with_weight(message: Message) -> None:
            if message["type"] == "http.response.start":
                if used is not None:
                    headers = MutableHeaders(scope=message)
                    headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(used)
                endpoint = _endpoint(scope)
                metrics.REQUESTS.labels(endpoint, message["status"]).inc()
                metrics.REQUEST_SECONDS.labels(endpoint).observe(time.perf_counter() - begun)
            await send(message)

        if used is not None and used > self._limit:
            await self._too_much()(scope, receive, send_with_weight)
        else:
            await self._app(scope, receive, send_with_weight)

    def _too_much(self) -> ASGIApp:
        message = (
            f"Too much request weight used; current limit is {self._limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        return ApiError(429, -1003, message, {"Retry-After": str(self._meter.seconds_left())}).response()


def _endpoint(scope: Scope) -> str:
    """Return the path of the endpoint that answers; paths that nothing serves have one name, and so few metrics."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else _OTHER
