"""What the API answers beyond the exchange's protocol: completeness, sources, reconciliation, state."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from crypto_analytics.api.live.clients import EventClient, Hub
from crypto_analytics.api.live.statuses import Statuses
from crypto_analytics.api.live.streams import status_stream
from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.api_client import api_client, api_settings
from tests.api_market import MINUTE, NOW, Market, end_of, get, ms, with_api
from tests.batch_run import put_official
from tests.integration.test_empty_minutes import START, SYMBOLS, empty
from tests.servers import Database, Servers
from tests.stores import merge_batch
from tests.unit.trade_json import trade_json


@pytest.mark.parametrize("name", ["1m", "15m", "1h", "1d"])
def test_v1_has_source_and_completeness(market: Market, name: str) -> None:
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


def test_missing_and_absent_ids_of_a_candle_are_counted(market: Market) -> None:
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


def test_the_reconciliation_of_the_batch_is_shown(servers: Servers, tmp_path: Path) -> None:
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
            shown = ["equal", "different", "official only", "realtime only", None, None]
            assert [candle["reconciled"] for candle in minutes] == shown
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


def test_the_metrics_have_the_state(market: Market) -> None:
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
