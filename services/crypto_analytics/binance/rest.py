"""Asynchronous client of the exchange's REST interface: klines, trades by id, tickers and exchange information.

Endpoints, weights, limits: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (Market Data endpoints).
All of them have security type NONE: no API key. The market-data-only host (data-api.binance.vision) serves all of them
except historicalTrades.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec
import structlog

from crypto_analytics.binance import tls
from crypto_analytics.binance.errors import (
    ExchangeError,
    RateLimited,
    Unavailable,
    error_of,
    header_number,
    is_retryable,
    redacted,
)
from crypto_analytics.binance.proxies import proxy_for
from crypto_analytics.binance.rate_limits import WeightBudget
from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import to_microseconds
from crypto_analytics.runtime.retry import backoff

PAGE = 1000
_ATTEMPTS = 6
_USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
_MICROSECONDS = {"X-MBX-TIME-UNIT": "MICROSECOND"}
_TICKER_SYMBOLS = 100

log = structlog.get_logger("binance.rest")


class AggTrade(msgspec.Struct, frozen=True, gc=False):
    """Trades of one taker order at one price: ``a`` aggregate id, ``f``..``l`` trade ids, ``T`` time as received."""

    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  # the exchange's name
    T: int
    m: bool
    M: bool = True

    @property
    def is_void(self) -> bool:
        """Whether the aggregate has no trades; the exchange returns p=0, q=0, f=-1, l=-1 for such ids."""
        return self.f < 0


class HistoricalTrade(msgspec.Struct, frozen=True, gc=False):
    """One trade of historicalTrades or trades; ``time`` is as received, in milliseconds or microseconds."""

    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool  # noqa: N815  # the exchange's names
    isBestMatch: bool = True  # noqa: N815


class SymbolInfo(msgspec.Struct, frozen=True):
    """The used part of a symbol's exchange information; ``status`` is TRADING, HALT or BREAK."""

    symbol: str
    status: str = "TRADING"


class _Ticker(msgspec.Struct, frozen=True):
    """``lastId`` is -1 if the symbol did not trade in the last 24 hours; 0 is the first trade of a listing."""

    symbol: str
    lastId: int  # noqa: N815
    firstId: int = -1  # noqa: N815

    @property
    def ids(self) -> IdRange | None:
        """The trade ids of the last 24 hours, None without trades."""
        if self.lastId < 0:
            return None
        return IdRange(self.firstId if 0 <= self.firstId <= self.lastId else self.lastId, self.lastId)


class _ExchangeInfo(msgspec.Struct, frozen=True):
    symbols: list[SymbolInfo]


Response = TypeVar("Response")
Query = Mapping[str, str | int | None]  # None: omitted


class BinanceRest:
    """An asynchronous client that stays within the request weight, obeys Retry-After and retries retryable errors.

    Every method raises :class:`~crypto_analytics.binance.errors.ExchangeError`: ``Blocked`` and ``Rejected`` at once,
    ``Unavailable`` after a bounded number of attempts. After a rate limit or a ban it waits, however long that takes.
    """

    def __init__(
        self,
        base_url: str,
        *,
        weight_limit: int = 6000,
        timeout: float = 15.0,
        attempts: int = _ATTEMPTS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
        random: Random | None = None,
    ) -> None:
        """``clock`` returns seconds since the epoch, ``monotonic`` monotonic seconds.

        ``timeout`` is in seconds; the exchange's own timeout is 10.

        Raises:
            Misconfigured: an environment variable names an invalid proxy or unusable certificates.
        """
        self._proxy = proxy_for(base_url, os.environ) if transport is None else None
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=timeout,
            transport=transport,
            verify=tls.rest_context(base_url),
            proxy=self._proxy.url if self._proxy else None,
            trust_env=False,  # proxies are chosen above, and credentials in .netrc are not used
        )
        self._budget = WeightBudget(weight_limit, wall=clock, monotonic=monotonic, sleep=sleep)
        self._attempts = attempts
        self._sleep = sleep
        self._random = random

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def klines(self, symbol: str, start_ms: int, end_ms: int | None = None, limit: int = PAGE) -> list[Kline]:
        """Return up to ``limit`` one-minute klines from ``start_ms`` on, oldest first; the last may still be open."""
        query: Query = {"symbol": symbol, "interval": "1m", "startTime": start_ms, "endTime": end_ms, "limit": limit}
        rows = await self._get("klines", query, weight=2, kind=list[Kline])
        return [
            msgspec.structs.replace(
                row, open_time=to_microseconds(row.open_time), close_time=to_microseconds(row.close_time)
            )
            for row in rows
        ]

    async def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        limit: int = PAGE,
    ) -> list[AggTrade]:
        """Return up to ``limit`` aggregated trades, oldest first, without void ones; by default the newest ones.

        ``from_id`` is an aggregate id; the times are in milliseconds or microseconds.
        """
        query: Query = {
            "symbol": symbol,
            "fromId": from_id,
            "startTime": start_time,
            "endTime": end_time,
            "limit": limit,
        }
        rows = await self._get("aggTrades", query, weight=4, kind=list[AggTrade], headers=_MICROSECONDS)
        return [row for row in rows if not row.is_void]

    async def historical_trades(self, symbol: str, from_id: int, limit: int = PAGE) -> list[HistoricalTrade]:
        """Return up to ``limit`` trades with ids from ``from_id`` on, in ascending order."""
        query: Query = {"symbol": symbol, "fromId": from_id, "limit": limit}
        return await self._get("historicalTrades", query, weight=25, kind=list[HistoricalTrade], headers=_MICROSECONDS)

    async def recent_trades(self, symbol: str, limit: int = PAGE) -> list[HistoricalTrade]:
        """Return the newest ``limit`` trades, in ascending order of their ids."""
        query: Query = {"symbol": symbol, "limit": limit}
        return await self._get("trades", query, weight=25, kind=list[HistoricalTrade], headers=_MICROSECONDS)

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        """Return the first and last trade id of the last 24 hours for each of ``symbols``, None without trades.

        The exchange rejects a request for up to 100 symbols (code -1121) if it does not know one of them; of more
        symbols, unknown ones are omitted from the result.
        """
        wanted = set(symbols)
        named = len(symbols) <= _TICKER_SYMBOLS
        weight = 80 if not named else 2 if len(symbols) <= 20 else 40
        query: Query = {"symbols": _names(symbols) if named else None, "type": "MINI"}
        rows = await self._get("ticker/24hr", query, weight=weight, kind=list[_Ticker])
        return {row.symbol: row.ids for row in rows if row.symbol in wanted}

    async def exchange_info(self, symbols: Sequence[str]) -> dict[str, SymbolInfo]:
        """Return the exchange information of ``symbols``; it rejects the request if one of them is unknown."""
        info = await self._get("exchangeInfo", {"symbols": _names(symbols)}, weight=20, kind=_ExchangeInfo)
        return {row.symbol: row for row in info.symbols}

    async def _get(
        self,
        endpoint: str,
        query: Query,
        *,
        weight: int,
        kind: type[Response],
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        delays = backoff(random=self._random)
        failures = 0
        while True:
            await self._budget.acquire(weight)
            try:
                return await self._try(endpoint, query, kind, headers)
            except RateLimited as error:
                self._budget.pause(error.retry_after)
                severity = log.error if error.banned else log.warning
                severity("rest_banned" if error.banned else "rest_rate_limited", cause=str(error))
            except ExchangeError as error:
                failures += 1
                if not is_retryable(error) or failures >= self._attempts:
                    raise
                delay = next(delays)
                log.warning("rest_request_retried", cause=str(error), attempt=failures, wait_seconds=round(delay, 3))
                await self._sleep(delay)

    async def _try(
        self, endpoint: str, query: Query, kind: type[Response], headers: Mapping[str, str] | None
    ) -> Response:
        params = {name: value for name, value in query.items() if value is not None}
        request = self._client.build_request("GET", f"/api/v3/{endpoint}", params=params, headers=headers)
        url = redacted(str(request.url))
        try:
            response = await self._client.send(request)
        except httpx.RequestError as error:
            route = f" through the proxy {self._proxy}" if self._proxy else ""
            cause = f"{type(error).__name__} {error}".strip()
            raise Unavailable(
                f"no response from {url}{route} ({cause}); check the network and BINANCE_REST_URL"
            ) from error
        used = header_number(response.headers.get(_USED_WEIGHT, ""))
        if used is not None:
            self._budget.report(used)
        if response.status_code != httpx.codes.OK:
            raise error_of(response.status_code, response.headers, response.content, url)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"invalid response from {url} ({error}); check BINANCE_REST_URL") from error


def _names(symbols: Sequence[str]) -> str:
    return msgspec.json.encode(list(symbols)).decode()
