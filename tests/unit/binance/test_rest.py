"""Request klines, trades and symbols from REST, with retries and rate limits."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import httpx
import pytest

from crypto_analytics.binance.errors import Blocked, ExchangeError, Rejected, Unavailable
from crypto_analytics.binance.rest import BinanceRest

KLINE = [1499040000000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815", 1499040059999,
         "2434.19055334", 308, "1756.87402397", "28.46694368", "17928899.62484339"]  # fmt: skip


class Exchange:
    """Sends the given responses in order; the last one is repeated."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 1_700_000_000.0
        self.set_by = 0.0  # seconds by which the wall clock was set

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def ask(
        self,
        question: Callable[[BinanceRest], Awaitable[Any]],
        url: str = "https://exchange.example/",
        **options: Any,
    ) -> Any:
        async def run() -> Any:
            rest = BinanceRest(
                url,
                clock=lambda: self.now + self.set_by,
                monotonic=lambda: self.now,
                sleep=self.sleep,
                transport=httpx.MockTransport(self),
                random=Random(1),
                **options,
            )
            async with rest:
                return await question(rest)

        return asyncio.run(run())


def klines(rest: BinanceRest) -> Awaitable[Any]:
    return rest.klines("BTCUSDT", 1499040000000)


def test_klines_keep_their_decimals_and_get_microseconds() -> None:
    exchange = Exchange(httpx.Response(200, json=[KLINE]))
    (kline,) = exchange.ask(klines)
    assert (kline.open_time, kline.close_time) == (1499040000000000, 1499040059999000)
    assert (kline.open, kline.volume, kline.ignore) == ("0.01634790", "148976.11427815", "17928899.62484339")
    assert kline.trade_count == 308
    url = exchange.requests[0].url
    assert url.path == "/api/v3/klines"
    assert dict(url.params) == {
        "symbol": "BTCUSDT", "interval": "1m", "startTime": "1499040000000", "limit": "1000"
    }  # fmt: skip


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e5", "", "1.123456789", "0x10", "1,5", "٣"])
def test_a_kline_with_a_number_that_is_not_a_plain_decimal_is_rejected(value: str) -> None:
    row = [KLINE[0], value, *KLINE[2:]]
    with pytest.raises(Unavailable, match="invalid response"):
        Exchange(httpx.Response(200, json=[row])).ask(klines, attempts=1)


def test_void_aggregates_are_dropped_and_times_stay_as_received() -> None:
    rows = [
        {"a": 1, "p": "0", "q": "0", "f": -1, "l": -1, "T": 1, "m": False, "M": False},
        {"a": 2, "p": "1.5", "q": "2", "f": 10, "l": 12, "T": 1499040000000123, "m": True, "M": True},
    ]
    exchange = Exchange(httpx.Response(200, json=rows))
    (trade,) = exchange.ask(lambda rest: rest.agg_trades("BTCUSDT", from_id=1, limit=5))
    assert (trade.a, trade.f, trade.l, trade.p, trade.T) == (2, 10, 12, "1.5", 1499040000000123)
    request = exchange.requests[0]
    assert dict(request.url.params) == {"symbol": "BTCUSDT", "fromId": "1", "limit": "5"}
    assert request.headers["X-MBX-TIME-UNIT"] == "MICROSECOND"
    assert "X-MBX-APIKEY" not in request.headers


@pytest.mark.parametrize(("method", "path"), [("historical_trades", "historicalTrades"), ("recent_trades", "trades")])
def test_trades_by_id_and_the_newest_ones(method: str, path: str) -> None:
    row = {"id": 28457, "price": "4.00000100", "qty": "12.0", "quoteQty": "48.0", "time": 1499865549590,
           "isBuyerMaker": True, "isBestMatch": True}  # fmt: skip
    exchange = Exchange(httpx.Response(200, json=[row]))
    arguments = (28457,) if method == "historical_trades" else ()
    (trade,) = exchange.ask(lambda rest: getattr(rest, method)("BTCUSDT", *arguments))
    assert (trade.id, trade.price, trade.qty, trade.time, trade.isBuyerMaker) == (
        28457, "4.00000100", "12.0", 1499865549590, True
    )  # fmt: skip
    assert exchange.requests[0].url.path == f"/api/v3/{path}"


def test_ids_of_the_last_day_start_at_0_and_are_none_without_trades() -> None:
    rows = [
        {"symbol": "A", "firstId": 3, "lastId": 5},
        {"symbol": "B", "firstId": -1, "lastId": -1, "count": 0},
        {"symbol": "C", "firstId": 8, "lastId": 9},
        {"symbol": "D", "firstId": 0, "lastId": 0, "count": 1},
    ]
    exchange = Exchange(httpx.Response(200, json=rows))
    assert exchange.ask(lambda rest: rest.ids_of_last_day(["A", "B", "D"])) == {"A": (3, 5), "B": None, "D": (0, 0)}
    assert exchange.requests[0].url.params["symbols"] == '["A","B","D"]'


def test_all_tickers_are_requested_for_many_symbols() -> None:
    symbols = [f"S{number}" for number in range(101)]
    exchange = Exchange(httpx.Response(200, json=[{"symbol": "S7", "lastId": 1}, {"symbol": "X", "lastId": 2}]))
    assert exchange.ask(lambda rest: rest.ids_of_last_day(symbols)) == {"S7": (1, 1)}
    assert "symbols" not in exchange.requests[0].url.params


def test_exchange_info() -> None:
    exchange = Exchange(httpx.Response(200, json={"symbols": [{"symbol": "A", "status": "HALT", "filters": []}]}))
    assert exchange.ask(lambda rest: rest.exchange_info(["A"]))["A"].status == "HALT"


def test_a_rate_limit_is_obeyed() -> None:
    exchange = Exchange(httpx.Response(429, headers={"Retry-After": "11"}), httpx.Response(200, json=[KLINE]))
    assert len(exchange.ask(klines, attempts=1)) == 1
    assert exchange.slept == [11]


def test_repeated_bans_are_obeyed() -> None:
    ban = httpx.Response(418, headers={"Retry-After": "3600"})
    exchange = Exchange(ban, ban, ban, httpx.Response(200, json=[]))
    assert exchange.ask(klines, attempts=1) == []
    assert sum(exchange.slept) == 3 * 3600


def test_a_rate_limit_delays_every_request_of_the_client() -> None:
    exchange = Exchange(httpx.Response(429, headers={"Retry-After": "30"}), httpx.Response(200, json=[]))

    async def two(rest: BinanceRest) -> None:
        await rest.klines("A", 0)
        assert exchange.slept == [30]
        await asyncio.gather(rest.klines("A", 0), rest.klines("B", 0))

    exchange.ask(two)


def test_a_retry_after_of_zero_still_pauses() -> None:
    limited = httpx.Response(429, headers={"Retry-After": "0"})
    exchange = Exchange(limited, limited, httpx.Response(200, json=[KLINE]))
    assert len(exchange.ask(klines, attempts=1)) == 1
    assert exchange.slept == [1, 1]


@pytest.mark.parametrize("change", [-7200, -30, 30, 7200])
def test_a_pause_survives_an_adjusted_clock(change: int) -> None:
    exchange = Exchange(httpx.Response(429, headers={"Retry-After": "600"}), httpx.Response(200, json=[KLINE]))
    sleep = exchange.sleep

    async def sleep_and_set(seconds: float) -> None:
        await sleep(seconds)
        exchange.set_by += change

    exchange.sleep = sleep_and_set  # type: ignore[method-assign]
    assert len(exchange.ask(klines, attempts=1)) == 1
    assert exchange.slept == [600]


@pytest.mark.parametrize("used", ["²", "٣", "many", "-1", "1.5", "9" * 5000, "1, 2"])
def test_a_used_weight_that_is_not_a_number_is_ignored(used: str) -> None:
    headers = [(b"X-MBX-USED-WEIGHT-1M", used.encode())]
    exchange = Exchange(httpx.Response(200, json=[KLINE], headers=headers))
    assert len(exchange.ask(klines)) == 1


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (httpx.ConnectError("refused"), "no response from https://exchange.example/mirror/api/v3/klines (ConnectError"),
        (httpx.Response(503), "HTTP 503 from https://exchange.example/mirror/api/v3/klines:"),
        (httpx.Response(400), "HTTP 400 from https://exchange.example/mirror/api/v3/klines:"),
        (httpx.Response(200, text="?"), "invalid response from https://exchange.example/mirror/api/v3/klines"),
        (
            httpx.Response(302, headers={"Location": "https://portal.example/login"}),
            "HTTP 302 from https://exchange.example/mirror/api/v3/klines: it redirects to https://portal.example/login,",
        ),
    ],
)
@pytest.mark.parametrize("login", ["", "user:secret@"])
def test_an_error_names_the_url(failure: httpx.Response | Exception, text: str, login: str) -> None:
    exchange = Exchange(failure)
    with pytest.raises(ExchangeError) as caught:
        exchange.ask(klines, f"https://{login}exchange.example/mirror/", attempts=1)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)
    assert exchange.requests[0].url.path == "/mirror/api/v3/klines"


@pytest.mark.parametrize("symbol", ["币安人生USDT", "A_B-C.D", "1"])
def test_every_valid_symbol_is_requested_unchanged(symbol: str) -> None:
    exchange = Exchange(httpx.Response(200, json=[KLINE]))
    exchange.ask(lambda rest: rest.klines(symbol, 0))
    url = exchange.requests[0].url
    assert url.params["symbol"] == symbol
    assert str(url).isascii()


def test_a_blocked_location_fails_at_once_with_the_setting() -> None:
    exchange = Exchange(httpx.Response(451))
    with pytest.raises(Blocked, match="BINANCE_REST_URL=https://data-api"):
        exchange.ask(klines)
    assert len(exchange.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_rejected_request_fails_at_once(status: int) -> None:
    exchange = Exchange(httpx.Response(status, json={"code": -1121, "msg": "Invalid symbol."}))
    with pytest.raises(Rejected) as caught:
        exchange.ask(klines)
    assert (caught.value.status, caught.value.code) == (status, -1121)
    assert len(exchange.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(503),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, text="<html>log in</html>"),
        httpx.Response(200, json={"not": "a list"}),
    ],
)
def test_retryable_errors_are_retried_a_bounded_number_of_times(failure: httpx.Response | Exception) -> None:
    exchange = Exchange(failure)
    with pytest.raises(Unavailable, match=r"BINANCE_REST_URL|try again later"):
        exchange.ask(klines, attempts=4)
    assert len(exchange.requests) == 4
    assert len(exchange.slept) == 3
    assert all(0 < wait <= 1 for wait in exchange.slept)


def test_a_retry_succeeds_after_a_transient_failure() -> None:
    exchange = Exchange(httpx.ConnectError("refused"), httpx.Response(500), httpx.Response(200, json=[KLINE]))
    assert len(exchange.ask(klines)) == 1


def test_the_client_waits_before_the_budget_is_exceeded() -> None:
    used = httpx.Response(200, json=[], headers={"X-MBX-USED-WEIGHT-1M": "5999"})
    exchange = Exchange(used)

    async def twice(rest: BinanceRest) -> None:
        await rest.klines("A", 0)
        assert exchange.slept == []
        await rest.klines("A", 0)

    exchange.now = 1_700_000_040.0 + 20  # twenty seconds into a minute
    exchange.ask(twice)
    assert exchange.slept == [40]
