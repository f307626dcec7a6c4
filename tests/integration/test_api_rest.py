"""The exchange's protocol equals what plain Python computes from the trades, to the last digit, and cannot write."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from crypto_analytics.api.intervals import INTERVALS
from tests.api_client import api_settings
from tests.api_market import MINUTE, NOW, Market, get, ms, row_of, text, with_api
from tests.integration.test_empty_minutes import START, SYMBOLS, Made


@pytest.mark.parametrize("name", sorted(INTERVALS))
def test_klines_of_every_interval_equal_the_minutes_added_up_by_plain_python(market: Market, name: str) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for symbol in SYMBOLS:
            expected = [row_of(start, name, candle) for start, candle in market.rolled_up(symbol, name).items()]
            newest = await get(client, "/api/v3/klines", symbol=symbol, interval=name, limit=1000)
            assert newest == expected[-1000:]
            assert await get(client, "/api/v3/uiKlines", symbol=symbol, interval=name) == expected[-500:]
            rows: list[Any] = []
            while page := await get(
                client,
                "/api/v3/klines",
                symbol=symbol,
                interval=name,
                limit=997,
                startTime=rows[-1][0] + 1 if rows else 0,
            ):
                rows += page
            assert rows == expected

    with_api(market, check)


@pytest.mark.parametrize(("zone", "hours"), [("8", 8), ("-3:30", -3.5), ("05:45", 5.75)])
def test_intervals_begin_at_the_time_zone_of_the_request(market: Market, zone: str, hours: float) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for name in ("4h", "1d", "3d", "1w"):
            expected = market.rolled_up("BTCUSDT", name, timedelta(hours=hours))
            found = await get(client, "/api/v3/klines", symbol="BTCUSDT", interval=name, timeZone=zone, limit=1000)
            assert found == [row_of(start, name, candle) for start, candle in expected.items()]

    with_api(market, check)


def test_windows_are_those_of_the_exchange(market: Market) -> None:
    candles = market.rolled_up("ETHUSDT", "5m")
    starts = list(candles)
    rows = [row_of(start, "5m", candle) for start, candle in candles.items()]

    async def klines(client: httpx.AsyncClient, **parameters: object) -> Any:
        return await get(client, "/api/v3/klines", symbol="ETHUSDT", interval="5m", **parameters)

    async def check(client: httpx.AsyncClient) -> None:
        random = Random(3)
        for _ in range(60):
            first, last = sorted(random.sample(range(len(rows)), 2))
            limit = random.choice([1, 2, 50, 1000])
            early, late = random.choice([0, 1, 299_999]), random.choice([0, 1, 299_999])
            start, end = ms(starts[first]) - early, ms(starts[last]) + late
            within = [row for row in rows if start <= row[0] <= end]
            assert await klines(client, startTime=start, endTime=end, limit=limit) == within[:limit]
            assert (
                await klines(client, startTime=start * 1000, limit=limit) == [r for r in rows if r[0] >= start][:limit]
            )
            assert await klines(client, endTime=end, limit=limit) == [r for r in rows if r[0] <= end][-limit:]
        assert await klines(client, startTime=ms(starts[5]), endTime=ms(starts[4])) == []
        assert await klines(client, limit=10**9) == rows[-1000:]

    with_api(market, check)


def test_times_are_microseconds_where_the_request_says_so(market: Market) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        parameters = {"symbol": "BTCUSDT", "interval": "1h", "limit": "1"}
        [found] = (
            await client.get("/api/v3/klines", params=parameters, headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
        ).json()
        [row] = await get(client, "/api/v3/klines", **parameters)
        assert (found[0], found[6]) == (row[0] * 1000, row[6] * 1000 + 999)

    with_api(market, check)


def ordered(market: Market, symbol: str) -> list[Made]:
    return sorted((trade for trade in market.trades if trade.symbol == symbol), key=lambda trade: trade.trade_id)


def test_trades_are_those_of_the_archive(market: Market) -> None:
    trades = ordered(market, "BTCUSDT")
    values = [json.loads(trade.value) for trade in trades]

    def row(value: dict[str, Any]) -> dict[str, Any]:
        quote = text(Decimal(value["p"]) * Decimal(value["q"]))
        times = {"time": value["T"], "isBuyerMaker": value["m"], "isBestMatch": value["M"]}
        return {"id": value["t"], "price": value["p"], "qty": value["q"], "quoteQty": quote, **times}

    def aggregate(value: dict[str, Any]) -> dict[str, Any]:
        ids = {"a": value["t"], "f": value["t"], "l": value["t"]}
        return ids | {name: value[name] for name in ("p", "q", "T", "m", "M")}

    async def check(client: httpx.AsyncClient) -> None:
        async def ask(name: str, **parameters: object) -> Any:
            return await get(client, f"/api/v3/{name}", symbol="BTCUSDT", **parameters)

        assert await ask("trades", limit=1000) == [row(value) for value in values]
        assert await ask("trades", limit=7) == [row(value) for value in values[-7:]]
        assert await ask("aggTrades", limit=3) == [aggregate(value) for value in values[-3:]]
        for at in range(0, len(values), 9):
            following = [value for value in values if value["t"] >= values[at]["t"]]
            assert await ask("historicalTrades", fromId=values[at]["t"], limit=11) == [row(v) for v in following[:11]]
            assert await ask("aggTrades", fromId=values[at]["t"], limit=5) == [aggregate(v) for v in following[:5]]
            start, end = values[at]["T"], values[at]["T"] + 3_600_000
            within = [value for value in values if start <= value["T"] <= end]
            assert await ask("aggTrades", startTime=start, endTime=end, limit=6) == [aggregate(v) for v in within[:6]]
        assert await ask("historicalTrades", fromId=values[-1]["t"] + 1) == []

    with_api(market, check)
    old = (START + timedelta(days=9)).isoformat()

    async def after_a_week(client: httpx.AsyncClient) -> None:
        kept = [row(v) for v in values if v["T"] >= ms(START + timedelta(days=2))]
        assert kept
        assert await get(client, "/api/v3/historicalTrades", symbol="BTCUSDT", fromId=0, limit=1000) == kept

    with_api(market, after_a_week, AS_OF=old)


def test_the_ticker_is_the_last_day(market: Market) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        tickers = await get(client, "/api/v3/ticker/24hr")
        assert [ticker["symbol"] for ticker in tickers] == list(SYMBOLS)
        for ticker in tickers:
            begin = NOW - timedelta(days=1) + MINUTE
            minutes = [row for time, row in sorted(market.minutes(ticker["symbol"]).items()) if begin <= time <= NOW]
            assert ticker["quoteVolume"] == text(sum(row["quote_volume"] for row in minutes))
            assert ticker["openPrice"] == text(minutes[0]["open"])
            assert ticker["lastPrice"] == text(minutes[-1]["close"])
            assert ticker["count"] == sum(row["trade_count"] for row in minutes)
            price = await get(client, "/api/v3/ticker/price", symbol=ticker["symbol"])
            newest = max(time for time, row in market.minutes(ticker["symbol"]).items() if row["source"] != "empty")
            assert price["price"] == text(market.minutes(ticker["symbol"])[newest]["close"])

    with_api(market, check)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/klines?interval=1m", 400, -1102),
        ("/api/v3/klines?symbol=BTCUSDT", 400, -1102),
        ("/api/v3/klines?symbol=NONE&interval=1m", 400, -1121),
        ("/api/v3/klines?symbol=btcusdt&interval=1m", 400, -1100),
        ("/api/v3/klines?symbol=&interval=1m", 400, -1105),
        ("/api/v3/klines?symbol=BTCUSDT&interval=2m", 400, -1120),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=0", 400, -1130),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=x", 400, -1100),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=-1", 400, -1100),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=-1", 400, -1100),
        ("/v1/live?symbol=BTCUSDT&interval=2m", 400, -1120),
        ("/v1/live?symbol=", 400, -1105),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&timeZone=15", 400, -1130),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&other=1", 400, -1104),
        ("/api/v3/klines?symbol=BTCUSDT&symbol=BTCUSDT&interval=1m", 400, -1101),
        ("/api/v3/ping?a=1", 400, -1101),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", 400, -1128),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbols=[]", 400, -1128),
        ("/api/v3/ticker/price?symbols=BTCUSDT", 400, -1100),
        ("/api/v3/ticker/price?symbols=[]", 400, -1102),
        ("/api/v3/ticker/bookTicker", 404, -1000),
        ("/api/v3/depth?symbol=BTCUSDT", 404, -1000),
    ],
)
def test_errors_have_the_exchanges_form(market: Market, path: str, status: int, code: int) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"], set(answer.json())) == (status, code, {"code", "msg"})

    with_api(market, check)


def test_weight_is_counted_and_limited(market: Market) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        used = [
            int((await client.get(path)).headers["X-MBX-USED-WEIGHT-1M"])
            for path in ("/api/v3/ping", "/api/v3/klines?symbol=BTCUSDT&interval=1m", "/api/v3/exchangeInfo")
        ]
        assert used == [1, 3, 23]
        refused = await client.get("/api/v3/ping", headers={"Origin": "https://example.com"})
        assert (refused.status_code, refused.json()["code"]) == (429, -1003)
        assert refused.headers["Access-Control-Allow-Origin"] == "https://example.com"  # a web page can read it
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert (await client.get("/healthz")).status_code == 200

    with_api(market, check, API_WEIGHT_PER_MINUTE=23, API_CORS_ORIGINS="https://example.com")


def test_no_request_fails_after_postgresql_has_closed_all_connections(market: Market) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        async def many() -> list[Any]:
            return await asyncio.gather(
                *(get(client, "/api/v3/klines", symbol=symbol, interval="1h") for symbol in SYMBOLS * 10)
            )

        before = await many()
        with market.database.connect() as superuser:
            [(ended,)] = superuser.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where application_name = 'api' and datname = current_database()"
            )
        assert ended > 1
        assert await many() == before

    with_api(market, check)


def test_reader_cannot_write_and_the_connections_refuse_it(market: Market) -> None:
    from crypto_analytics.api.database import Database as ApiDatabase

    async def run() -> None:
        async with ApiDatabase(api_settings(market.database, market.folder)).opened() as database:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await database.rows("insert into symbols (symbol, status) values ('A', 'followed') returning symbol")
            [(limit,)] = await database.rows("select current_setting('statement_timeout')")
            assert limit == "10s"

    asyncio.run(run())
    with market.database.connect("reader") as reader:
        reader.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("delete from symbols")
