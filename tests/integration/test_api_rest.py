"""The REST API equals what plain Python computes from the trades, to the last digit, and cannot write.

The trades of two quiet symbols have gaps, ids that were never issued, minutes without trades, and official klines of
some minutes that differ from them.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from crypto_analytics.api.intervals import INTERVALS
from crypto_analytics.api.live.clients import EventClient, Hub
from crypto_analytics.api.live.statuses import Statuses
from crypto_analytics.api.live.streams import status_stream
from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.api_client import api_client, api_settings
from tests.batch_run import put_official
from tests.integration.test_empty_minutes import START, SYMBOLS, Made, empty, empty_minutes, made
from tests.oracle import Oracle
from tests.servers import Database, Servers
from tests.stores import merge_batch
from tests.unit.api.test_intervals import expected_start
from tests.unit.trade_json import trade_json

MINUTE = timedelta(minutes=1)
NOW = START + timedelta(days=2, hours=12)
SUMS = ("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")
Minutes = dict[datetime, dict[str, Any]]


class Market:
    """The database and the archive, and what is expected of them."""

    def __init__(self, database: Database, folder: Path) -> None:
        random = Random(11)
        self.database = database
        self.folder = folder
        trades = [trade for symbol in SYMBOLS for trade in made(random, symbol)]
        never = random.sample([trade for trade in trades if trade.trade_id % 7 == 3], 20)
        self.trades = [trade for trade in trades if trade not in never]
        self.absent = {(trade.symbol, trade.trade_id) for trade in never[:12]}
        arriving = random.sample(self.trades, len(self.trades))
        archive = RawArchive(DirectoryStore(folder), "raw")
        with database.connect("writer") as writer, database.connect("producer") as producer:
            for start in range(0, len(arriving), 40):
                values = [trade.value for trade in arriving[start : start + 40]]
                merge_batch(writer, archive, decode_batch(values, Rules(frozenset(SYMBOLS), 2**60)).by_symbol())
            for symbol, trade_id in sorted(self.absent):
                producer.execute("select record_absent_ids(%s, %s, %s, 'test', '')", [symbol, trade_id, trade_id])
            self.oracle = Oracle()
            self.oracle.add_values(trade.value for trade in self.trades)
            self.official = self._official(random)
            put_official(writer, *self.official)

    def _official(self, random: Random) -> list[dict[str, Any]]:
        """Return klines for some minutes, and for a few before the first trade."""
        minutes = {
            (symbol, START + number * MINUTE) for symbol in SYMBOLS for number in random.sample(range(4000), 150)
        }
        minutes |= {(symbol, START - timedelta(days=40) - number * MINUTE) for symbol in SYMBOLS for number in range(9)}
        rows = []
        for symbol, minute in sorted(minutes):
            row = {name: value for name, value in empty(random.randrange(10, 99)).items() if name != "vwap"}
            row |= {"high": row["high"] + 1, "volume": Decimal(3), "quote_volume": Decimal("1.5"), "trade_count": 2}
            rows.append({"symbol": symbol, "open_time": minute, **row})
        return rows

    def minutes(self, symbol: str) -> Minutes:
        """Return the minutes of ``symbol`` that are known, the official ones before realtime and empty ones."""
        known: Minutes = {
            minute: {**empty(price), "source": "empty", "complete": True}
            for (its, minute), price in empty_minutes(self.trades, self.absent).items()
            if its == symbol
        }
        for (its, minute), candle in self.oracle.candles.items():
            if its == symbol:
                known[minute] = {**candle, "source": "realtime", "complete": self.is_complete((its, minute))}
        for row in self.official:
            if row["symbol"] == symbol:
                known[row["open_time"]] = {**row, "source": "official", "complete": True}
        return known

    def is_complete(self, key: tuple[str, datetime]) -> bool:
        candle, symbol = self.oracle.candles[key], key[0]
        first, last = int(candle["first_trade_id"]), int(candle["last_trade_id"])
        known = self.oracle.ids[symbol] | {trade_id for its, trade_id in self.absent if its == symbol}
        return all(trade_id in known for trade_id in range(first - 1, last + 2))

    def rolled_up(self, symbol: str, name: str, offset: timedelta = timedelta()) -> dict[datetime, dict[str, Any]]:
        """Return the candles of an interval by their open times."""
        zone = timezone(offset)
        buckets: dict[datetime, list[dict[str, Any]]] = {}
        for minute, row in sorted(self.minutes(symbol).items()):
            buckets.setdefault(expected_start(name, minute.astimezone(zone)), []).append(row)
        return {
            start: {
                "open": rows[0]["open"],
                "high": max(row["high"] for row in rows),
                "low": min(row["low"] for row in rows),
                "close": rows[-1]["close"],
                **{measure: sum(row[measure] for row in rows) for measure in SUMS},
                "rows": rows,
            }
            for start, rows in sorted(buckets.items())
        }


def text(value: Decimal) -> str:
    """Return a number of the exchange's answers: cut off after 8 decimals."""
    return f"{Decimal(int(Decimal(value).scaleb(8))).scaleb(-8):.8f}"


def end_of(start: datetime, name: str) -> datetime:
    if name == "1M":
        return (start + timedelta(days=32)).replace(day=1)
    length = INTERVALS[name].length
    assert length is not None
    return start + timedelta(microseconds=length)


def row_of(start: datetime, name: str, candle: dict[str, Any]) -> list[Any]:
    """Return the exchange's twelve columns."""
    return [
        int(start.timestamp() * 1000),
        *(text(candle[measure]) for measure in ("open", "high", "low", "close", "volume")),
        int(end_of(start, name).timestamp() * 1000) - 1,
        text(candle["quote_volume"]),
        int(candle["trade_count"]),
        text(candle["taker_buy_volume"]),
        text(candle["taker_buy_quote_volume"]),
        "0",
    ]


@pytest.fixture(scope="module")
def market(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with servers.database() as database:
        yield Market(database, tmp_path_factory.mktemp("objects"))


def with_api(market: Market, check: Callable[[httpx.AsyncClient], Awaitable[None]], **settings: object) -> None:
    """Run ``check`` with a client of the API, whose clock stands at NOW."""

    async def run() -> None:
        settings_of_api = api_settings(market.database, market.folder, **({"AS_OF": NOW.isoformat()} | settings))
        async with api_client(settings_of_api) as client:
            await check(client)

    asyncio.run(run())


async def get(client: httpx.AsyncClient, path: str, **parameters: object) -> Any:
    answer = await client.get(path, params={name: str(value) for name, value in parameters.items()})
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


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


@pytest.mark.parametrize("name", ["1m", "15m", "1h", "1d"])
def test_v1_tells_source_and_completeness(market: Market, name: str) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for symbol in SYMBOLS:
            expected = list(market.rolled_up(symbol, name).items())[-1000:]
            found = await get(client, "/v1/candles", symbol=symbol, interval=name, limit=1000)
            assert [candle["openTime"] for candle in found] == [ms(start) for start, _ in expected]
            for candle, (start, wanted) in zip(found, expected, strict=True):
                minutes = wanted["rows"]
                length = (end_of(start, name) - start) // MINUTE
                assert candle["complete"] == (all(m["complete"] for m in minutes) and len(minutes) == length)
                sources = {minute["source"] for minute in minutes}
                preferred = [source for source in ("realtime", "official", "empty") if source in sources]
                assert candle["source"] == preferred[0]
                assert candle["closed"] == (end_of(start, name) <= NOW)
                for measure, field in (("quote_volume", "quoteVolume"), ("volume", "volume"), ("open", "open")):
                    assert Decimal(candle[field]) == wanted[measure]
                assert (candle["reconciled"], candle["differences"]) == (None, [])

    with_api(market, check)


def test_missing_and_absent_ids_of_a_candle_are_told(market: Market) -> None:
    def within(symbol: str, minute: datetime) -> tuple[int, int]:
        candle = market.oracle.candles[symbol, minute]
        ids = set(range(int(candle["first_trade_id"]), int(candle["last_trade_id"]) + 1))
        absent = {trade_id for its, trade_id in market.absent if its == symbol} & ids
        inside = {trade.trade_id for trade in market.trades if trade.symbol == symbol and trade.minute == minute}
        return len(ids - inside - absent), len(absent)

    async def check(client: httpx.AsyncClient) -> None:
        seen = set()
        for symbol in SYMBOLS:
            for candle in await get(client, "/v1/candles", symbol=symbol, interval="1m", startTime=0, limit=1000):
                minute = datetime.fromtimestamp(candle["openTime"] / 1000, UTC)
                if candle["source"] == "realtime":
                    wanted = within(symbol, minute)
                    seen.add(wanted)
                    assert (candle["missingIds"], candle["verifiedAbsentIds"]) == wanted
        assert len(seen) > 1

    with_api(market, check)


def test_the_reconciliation_of_the_batch_is_told(servers: Servers, tmp_path: Path) -> None:
    fields = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume")
    columns = [f"{field}_difference" for field in (*fields, "taker_buy_quote_volume")]
    statuses = ["equal", "different", "official_only", "realtime_only", "incomplete"]
    official = [
        {
            "symbol": "BTCUSDT",
            "open_time": START + number * MINUTE,
            **{k: v for k, v in empty(5).items() if k != "vwap"},
        }
        for number in range(len(statuses) + 1)
    ]

    async def run(database: Database) -> None:
        async with api_client(api_settings(database, tmp_path, AS_OF=NOW.isoformat())) as client:
            minutes = await get(client, "/v1/candles", symbol="BTCUSDT", interval="1m")
            told = ["equal", "different", "official only", "realtime only", None, None]
            assert [candle["reconciled"] for candle in minutes] == told
            assert [candle["differences"] for candle in minutes] == [[], ["high", "quoteVolume"], [], [], [], []]
            [hour] = await get(client, "/v1/candles", symbol="BTCUSDT", interval="1h")
            assert (hour["reconciled"], hour["differences"]) == ("different", ["high", "quoteVolume"])
            quality = await get(client, "/v1/quality")
            assert quality["reconciliation"] == dict.fromkeys(statuses, 1)
            lines = (await client.get("/metrics")).text.splitlines()
            assert 'reconciliation_candles{result="official_only"} 1.0' in lines

    with servers.database() as database:
        with database.connect("writer") as writer:
            put_official(writer, *official)
        with database.connect("transformer") as transformer:
            transformer.execute(
                "create table analytics.reconciliation_klines_1m (symbol text, open_time timestamptz, status text, "
                f"{', '.join(f'{column} numeric' for column in columns)})"
            )
            for number, status in enumerate(statuses):
                differs = [1 if field in ("high", "quote_volume") and status != "equal" else 0 for field in fields] + [
                    0
                ]
                transformer.execute(
                    f"insert into analytics.reconciliation_klines_1m values (%s, %s, %s, {', '.join(['%s'] * 9)})",
                    ["BTCUSDT", START + number * MINUTE, status, *differs],
                )
        asyncio.run(run(database))


def test_completeness_of_a_day_is_that_of_its_minutes_and_the_pushed_status_agrees(market: Market) -> None:
    def expected(symbol: str, day: datetime) -> dict[str, int]:
        minutes = market.minutes(symbol)
        until = max(day, min(day + timedelta(days=1), NOW))
        within = {time: row for time, row in minutes.items() if day <= time < until}
        candles = [key for key in market.oracle.candles if key[0] == symbol and day <= key[1] < until]
        sources = [row["source"] for row in within.values()]
        return {
            "minutes": max(0, (until - max(day, min(minutes))) // MINUTE),
            "complete": sum(row["complete"] for row in within.values()),
            "realtimeCandles": len(candles),
            "realtimeComplete": sum(market.is_complete(key) for key in candles),
            "emptyMinutes": sources.count("empty"),
            "officialKlines": sources.count("official"),
        }

    async def check(client: httpx.AsyncClient) -> None:
        today = NOW.replace(hour=0, minute=0)
        first = (START - timedelta(days=40, minutes=8)).replace(hour=0, minute=0)
        days = [first - timedelta(days=1), first, START.replace(hour=0, minute=0), today, today + timedelta(days=1)]
        for day in days:
            found = await get(client, "/v1/completeness", day=day.date())
            numbers = [{name: one[name] for name in expected("BTCUSDT", day)} for one in found]
            assert numbers == [expected(symbol, day) for symbol in SYMBOLS], day
        found = {one["symbol"]: one for one in await get(client, "/v1/completeness")}
        hub, context = Hub(), client._transport.app.state.context  # type: ignore[attr-defined]
        statuses = Statuses(context, hub)
        hub.follow(EventClient(), [status_stream(symbol) for symbol in SYMBOLS])
        running = asyncio.create_task(statuses.run())
        async with asyncio.timeout(30):
            while not all(statuses.newest(status_stream(symbol)) for symbol in SYMBOLS):
                await asyncio.sleep(0.05)
        running.cancel()
        for symbol in SYMBOLS:
            [pushed] = statuses.newest(status_stream(symbol))
            status = json.loads(pushed.payload)
            assert {name: status[name] for name in ("minutes", "complete")} == {
                name: found[symbol][name] for name in ("minutes", "complete")
            }
            newest = max(minute for its, minute in market.oracle.candles if its == symbol)
            # Its trades were merged long after their minute.
            assert status["newestTradeTime"] == ms(newest + MINUTE)

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


def test_the_metrics_tell_the_state(market: Market) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        lines = (await client.get("/metrics")).text.splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        with market.database.connect() as connection:
            rows = connection.execute("select symbol, count(*) from trade_id_gaps group by symbol").fetchall()
        assert {symbol: float(found[f'gaps_open{{symbol="{symbol}"}}']) for symbol, _ in rows} == dict(rows)
        assert found["gate_last_run_succeeded"] == found["batch_last_success_timestamp_seconds"] == "NaN"
        assert float(found['market_last_price{symbol="BTCUSDT"}']) > 0

    with_api(market, check)


def test_a_fresh_install_has_answers(servers: Servers, tmp_path: Path) -> None:
    async def run(database: Database) -> None:
        site = "http://127.0.0.1:9000/data-docs/site"
        async with api_client(api_settings(database, tmp_path, DATA_DOCS_URL=f"{site}/index.html")) as client:
            links = {one["name"]: one["url"] for one in (await get(client, "/v1/links"))["links"]}
            assert links == {
                "Data Docs": f"{site}/index.html",
                "dbt docs": f"{site}/dbt/index.html",
                "API": "/docs",
            }
            for path in ("exchangeInfo", "ticker/24hr", "ticker/price"):
                await get(client, f"/api/v3/{path}")
            for path in ("symbols", "gaps", "freshness", "completeness", "quality", "health"):
                await get(client, f"/v1/{path}")
            assert (await client.get("/metrics")).status_code == (await client.get("/readyz")).status_code == 200

    with servers.database() as database:
        asyncio.run(run(database))


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


def test_the_largest_trade_of_the_last_minute_is_a_metric(servers: Servers, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    values = [
        trade_json(number, price=f"{price}.50000000", quantity="2.00000000", time=ms(now) - 1000)
        for number, price in enumerate([100, 300, 200])
    ]

    async def run(database: Database) -> None:
        async with api_client(api_settings(database, tmp_path, API_STATE_SECONDS=0)) as client:
            for largest in ("601.0", "601.0"):
                lines = (await client.get("/metrics")).text.splitlines()
                assert f'market_largest_trade_quote{{symbol="BTCUSDT"}} {largest}' in lines

    with servers.database() as database:
        with database.connect("writer") as writer:
            decoded = decode_batch(values, Rules(frozenset(SYMBOLS), 2**60)).by_symbol()
            merge_batch(writer, RawArchive(DirectoryStore(tmp_path), "raw"), decoded)
        asyncio.run(run(database))


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
