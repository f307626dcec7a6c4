"""The REST interface over a real connection."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crypto_analytics.core.minutes import MINUTE
from exchange_simulator.request_weights import WeightMeter, weight_of
from tests.unit.exchange_simulator.harness import Exchange, exchange, ids

pytestmark = pytest.mark.asyncio

START = 1_767_571_200_000  # 2026-01-05T00:00:00Z in milliseconds


async def played(simulated: Exchange, count: int = 120) -> list[int]:
    """Play ``count`` trades to a client that leaves then, and return their ids."""
    async with simulated.stream() as socket:
        return await ids(socket, count)


async def done(simulated: Exchange) -> None:
    """Play to the end."""
    async with simulated.stream():
        await simulated.until_done()


async def test_rest_returns_nothing_later_than_the_clock() -> None:
    async with exchange(SIM_RATE=200) as simulated, simulated.stream() as socket:
        await ids(socket, 30)
        for path in ("trades", "historicalTrades", "aggTrades"):
            before = (await simulated.status())["symbols"]["BTCUSDT"]
            rows = await simulated.api(path, symbol="BTCUSDT", limit=1000)
            after = (await simulated.status())["symbols"]["BTCUSDT"]
            shown = rows[-1].get("time", rows[-1].get("T"))
            assert before["last_time"] // 1000 <= shown <= after["last_time"] // 1000
            assert after["last_id"] < after["final_id"]


async def test_before_the_play_rest_returns_only_history() -> None:
    async with exchange() as simulated:
        first_of_play = (await simulated.status())["symbols"]["BTCUSDT"]["final_id"] - 119
        assert (await simulated.status())["as_of"] == "2026-01-05T00:00:00+00:00"
        trades = await simulated.api("trades", symbol="BTCUSDT", limit=1000)
        assert [trade["id"] for trade in trades] == list(range(first_of_play - 180, first_of_play))
        assert await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=first_of_play) == []
        assert [row[0] for row in await simulated.api("klines", symbol="BTCUSDT", interval="1m")] == [
            START - 180_000, START - 120_000, START - 60_000,
        ]  # fmt: skip
        assert (await simulated.api("time"))["serverTime"] == START


async def test_at_the_end_the_last_minute_is_closed() -> None:
    async with exchange() as simulated:
        await done(simulated)
        status = await simulated.status()
        assert (status["as_of"], status["ends_at"]) == ("2026-01-05T00:02:00+00:00", "2026-01-05T00:02:00+00:00")
        assert status["trades_sent"] == status["trades_total"] == 120
        symbol = status["symbols"]["BTCUSDT"]
        assert symbol["last_id"] == symbol["final_id"] == symbol["first_id"] + 119
        klines = await simulated.api("klines", symbol="BTCUSDT", interval="1m", limit=2)
        assert [kline[0] for kline in klines] == [START, START + 60_000]
        assert [kline[6] for kline in klines] == [START + 59_999, START + 119_999]
        assert [kline[8] for kline in klines] == [60, 60]
        assert (await simulated.api("time"))["serverTime"] > klines[-1][6]


async def test_individual_trades_page_by_page() -> None:
    async with exchange() as simulated:
        streamed = await played(simulated)
        await simulated.until_done()
        got: list[int] = []
        first = streamed[0] - 5
        while page := await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=first, limit=50):
            got += [row["id"] for row in page]
            first = got[-1] + 1
        assert got == list(range(streamed[0] - 5, streamed[-1] + 1))
        row = (await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=streamed[0], limit=1))[0]
        assert set(row) == {"id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"}
        assert abs(Decimal(row["quoteQty"]) - Decimal(row["price"]) * Decimal(row["qty"])) < Decimal("0.00000001")
        default = await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=0)
        assert len(default) == 300  # all there are, fewer than the default of 500
        latest = await simulated.api("historicalTrades", symbol="BTCUSDT", limit=2)
        assert [row["id"] for row in latest] == streamed[-2:]


async def test_aggregates_by_id_and_by_time() -> None:
    async with exchange() as simulated:
        await done(simulated)
        latest = await simulated.api("aggTrades", symbol="BTCUSDT", limit=1000)
        numbers = [row["a"] for row in latest]
        assert numbers == list(range(numbers[0], numbers[0] + 5 * 45))
        assert [a["l"] + 1 for a in latest[:-1]] == [a["f"] for a in latest[1:]]
        assert set(latest[0]) == {"a", "p", "q", "f", "l", "T", "m", "M"}
        page = await simulated.api("aggTrades", symbol="BTCUSDT", fromId=numbers[7], limit=3)
        assert page == latest[7:10]
        window = await simulated.api("aggTrades", symbol="BTCUSDT", startTime=START, endTime=START + 59_999, limit=1000)
        assert window == latest[135:180]
        assert await simulated.api("aggTrades", symbol="BTCUSDT", startTime=START, limit=4) == latest[135:139]
        assert await simulated.api("aggTrades", symbol="BTCUSDT", endTime=START - 1, limit=4) == latest[131:135]
        edge = latest[140]["T"]
        exact = await simulated.api("aggTrades", symbol="BTCUSDT", startTime=edge, endTime=edge)
        assert latest[140] in exact


async def test_microseconds_on_request() -> None:
    async with exchange() as simulated:
        rough = await simulated.api("trades", symbol="BTCUSDT", limit=5)
        answer = await simulated.http.get(
            "/api/v3/trades?symbol=BTCUSDT&limit=5", headers={"X-MBX-TIME-UNIT": "MICROSECOND"}
        )
        assert [row["time"] // 1000 for row in answer.json()] == [row["time"] for row in rough]
        answer = await simulated.http.get(
            f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={(START - 60_000) * 1000}",
            headers={"X-MBX-TIME-UNIT": "MICROSECOND"},
        )
        assert [(row[0], row[6]) for row in answer.json()] == [((START - 60_000) * 1000, START * 1000 - 1)]


async def test_the_ticker_has_the_last_id_of_each_symbol() -> None:
    async with exchange(SYMBOLS="BTCUSDT,ETHUSDT") as simulated:
        first = {}
        for symbol in ("BTCUSDT", "ETHUSDT"):
            first[symbol] = (await simulated.api("historicalTrades", symbol=symbol, fromId=0))[0]["id"]
        both = await simulated.api("ticker/24hr", symbols=json.dumps(["ETHUSDT", "BTCUSDT"]))
        assert [row["symbol"] for row in both] == ["ETHUSDT", "BTCUSDT"]
        assert both[0]["firstId"] == first["ETHUSDT"]
        assert both[0]["lastId"] == first["ETHUSDT"] + 179
        assert both[0]["count"] == 180
        one = await simulated.api("ticker/24hr", symbol="BTCUSDT")
        assert one == both[1]
        assert len(await simulated.api("ticker/24hr")) == 2
        klines = await simulated.api("klines", symbol="BTCUSDT", interval="1m")
        assert one["openPrice"] == klines[0][1]
        assert one["lastPrice"] == klines[-1][4]
        assert one["highPrice"] == max((kline[2] for kline in klines), key=Decimal)
        assert Decimal(one["volume"]) == sum(Decimal(kline[5]) for kline in klines)


async def test_a_recording_s_trades_from_id_zero_are_all_answered(tmp_path: Path) -> None:
    path = tmp_path / "NEWUSDT-trades-2025-03-04.csv"
    path.write_text("".join(f"{n},1.5,2,3,{1741046400000 + n * 1000},True,True\n" for n in range(90)))
    async with exchange(SIM_FILE=path) as simulated:
        ticker = await simulated.api("ticker/24hr", symbol="NEWUSDT")
        assert (ticker["firstId"], ticker["lastId"], ticker["count"]) == (-1, -1, 0)  # nothing was played yet
        async with simulated.stream("/stream?streams=newusdt@trade") as socket:
            assert await ids(socket, 90) == list(range(90))
            await simulated.until_done()
        status = (await simulated.status())["symbols"]["NEWUSDT"]
        assert (status["first_id"], status["last_id"], status["final_id"]) == (0, 89, 89)
        rows = await simulated.api("historicalTrades", symbol="NEWUSDT", fromId=0, limit=2)
        assert [row["id"] for row in rows] == [0, 1]
        aggregates = await simulated.api("aggTrades", symbol="NEWUSDT", fromId=0, limit=1)
        assert [(row["f"], row["l"]) for row in aggregates] == [(0, 0)]
        ticker = await simulated.api("ticker/24hr", symbol="NEWUSDT")
        assert (ticker["firstId"], ticker["lastId"], ticker["count"]) == (0, 89, 90)


async def test_a_symbol_with_the_one_trade_zero_has_it_as_its_first_and_last(tmp_path: Path) -> None:
    path = tmp_path / "NEWUSDT-trades-2025-03-04.csv"
    path.write_text("0,1.5,2,3,1741046400000,True,True\n")
    async with exchange(SIM_FILE=path) as simulated:
        await done(simulated)
        ticker = await simulated.api("ticker/24hr", symbol="NEWUSDT")
        assert (ticker["firstId"], ticker["lastId"], ticker["count"]) == (0, 0, 1)


async def test_a_symbol_without_a_trade_today_has_no_last_id(tmp_path: Path) -> None:
    path = tmp_path / "stream.tsv"
    message = '{"stream":"x@trade","data":{"e":"trade","s":"%s","t":7,"p":"1","q":"1","T":%d,"m":true}}'
    rows = [("OLDUSDT", 1741046400000), ("NEWUSDT", 1741046400000 + 25 * 3600 * 1000)]
    path.write_text("".join(f"1\t{message % row}\n" for row in rows))
    async with exchange(SIM_FILE=path) as simulated:
        await done(simulated)
        old, new = await simulated.api("ticker/24hr", symbols='["OLDUSDT","NEWUSDT"]')
        assert (old["firstId"], old["lastId"], old["count"]) == (-1, -1, 0)
        assert (new["firstId"], new["lastId"], new["count"]) == (7, 7, 1)


async def test_a_symbol_in_chinese_is_streamed_and_answered() -> None:
    async with (
        exchange(SYMBOLS="币安人生USDT", SIM_RATE=400) as simulated,
        simulated.stream("/stream?streams=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@trade") as socket,
    ):
        frame = json.loads(await socket.recv())
        assert (frame["stream"], frame["data"]["s"]) == ("币安人生usdt@trade", "币安人生USDT")
        (row,) = await simulated.api("historicalTrades", symbol="币安人生USDT", fromId=frame["data"]["t"], limit=1)
        assert row["id"] == frame["data"]["t"]


async def test_a_day_s_ticker_counts_each_minute_once() -> None:
    async with exchange(SIM_HISTORY_MINUTES=1700, SIM_TRADES_PER_MINUTE=2) as simulated:
        ticker = await simulated.api("ticker/24hr", symbol="BTCUSDT")
        assert ticker["count"] == 2 * 1439  # the 1440th minute has just opened
        assert ticker["lastId"] - ticker["firstId"] + 1 == ticker["count"]


async def test_longer_intervals() -> None:
    async with exchange(SIM_HISTORY_MINUTES=15) as simulated:
        minutes = await simulated.api("klines", symbol="BTCUSDT", interval="1m")
        five = await simulated.api("klines", symbol="BTCUSDT", interval="5m")
        assert [row[0] for row in five] == [START - 900_000, START - 600_000, START - 300_000]
        assert five[0][1] == minutes[0][1]
        assert five[0][4] == minutes[4][4]
        assert Decimal(five[0][5]) == sum(Decimal(row[5]) for row in minutes[:5])
        assert five[0][6] == START - 600_001


async def test_exchange_info_and_ping() -> None:
    async with exchange(SYMBOLS="BTCUSDT,ETHBTC") as simulated:
        assert await simulated.api("ping") == {}
        info = await simulated.api("exchangeInfo")
        assert [(s["symbol"], s["baseAsset"], s["quoteAsset"], s["status"]) for s in info["symbols"]] == [
            ("BTCUSDT", "BTC", "USDT", "TRADING"), ("ETHBTC", "ETH", "BTC", "TRADING"),
        ]  # fmt: skip
        (one,) = (await simulated.api("exchangeInfo", symbol="BTCUSDT"))["symbols"]
        filters = {entry["filterType"]: entry for entry in one["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("klines?symbol=NOPE&interval=1m", -1121, "Invalid symbol."),
        ("klines?interval=1m", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("klines?symbol=BTCUSDT", -1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        ("trades?symbol=btc-usdt", -1100, "Illegal characters found in parameter 'symbol'."),
        ("aggTrades?symbol=BTCUSDT&fromId=x", -1100, "Illegal characters found in parameter 'fromId'."),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=2", -1128, "Combination of optional parameters invalid."),
        ("ticker/24hr?symbols=BTCUSDT", -1100, "Illegal characters found in parameter 'symbols'."),
        ('ticker/24hr?symbols=["BTCUSDT"]&symbol=BTCUSDT', -1128, "Combination of optional parameters invalid."),
        ('ticker/24hr?symbols=["NOPE"]', -1121, "Invalid symbol."),
    ],
)  # fmt: skip
async def test_errors_have_the_exchange_s_shape(path: str, code: int, message: str) -> None:
    async with exchange() as simulated:
        answer = await simulated.http.get(f"/api/v3/{path}")
        assert (answer.status_code, answer.json()) == (400, {"code": code, "msg": message})


async def test_a_limit_above_a_thousand_is_reduced_without_an_error() -> None:
    async with exchange(SIM_TRADES_PER_MINUTE=1200) as simulated:
        assert len(await simulated.api("trades", symbol="BTCUSDT", limit=5000)) == 1000


async def test_responses_have_the_used_weight() -> None:
    async with exchange() as simulated:
        used = []
        for path in ("ping", "klines?symbol=BTCUSDT&interval=1m", "aggTrades?symbol=BTCUSDT",
                     "historicalTrades?symbol=BTCUSDT", "ticker/24hr?symbol=BTCUSDT", "ticker/24hr"):  # fmt: skip
            answer = await simulated.http.get(f"/api/v3/{path}")
            used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))
        assert used == [1, 3, 7, 32, 34, 114]


@pytest.mark.parametrize(("symbols", "weight"), [(1, 2), (20, 2), (21, 40), (100, 40), (101, 80), (None, 80)])
async def test_the_tickers_weight_depends_on_the_number_of_symbols(symbols: int | None, weight: int) -> None:
    assert weight_of("/api/v3/ticker/24hr", symbols) == weight


async def test_weights_are_counted_by_minute_and_address() -> None:
    now = 59.0
    meter = WeightMeter(lambda: now)
    assert [meter.charge("a", 4), meter.charge("a", 2), meter.charge("b", 1)] == [4, 6, 1]
    assert meter.seconds_left() == 1
    now = 60.0
    assert meter.charge("a", 2) == 2
    assert meter.seconds_left() == 60


@pytest.mark.parametrize(("enforced", "expected"), [(True, 429), (False, 200)])
async def test_too_much_weight_is_answered_with_429(enforced: bool, expected: int) -> None:
    async with exchange(SIM_ENFORCE_WEIGHT=enforced, SIM_HISTORY_MINUTES=1) as simulated:
        answers = [await simulated.http.get("/api/v3/ticker/24hr") for _ in range(76)]  # 80 each
        if int(answers[-1].headers["X-MBX-USED-WEIGHT-1M"]) < 6000:  # a new minute began
            answers += [await simulated.http.get("/api/v3/ticker/24hr") for _ in range(76)]
        assert {answer.status_code for answer in answers} == {200, expected}
        if enforced:
            assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
            assert answers[-1].json()["code"] == -1003


async def aggregates_of(simulated: Exchange, **parameters: Any) -> list[Any]:
    answer: list[Any] = await simulated.api("aggTrades", **parameters)
    return answer


async def test_a_recording_of_aggregates_has_no_individual_trades(recorded_data: Path) -> None:
    async with exchange(SIM_FILE=recorded_data / "BTCUSDT-aggTrades-2020-01-02.csv") as simulated:
        async with simulated.stream("/stream?streams=btcusdt@aggTrade/btcusdt@trade") as socket:
            for _ in range(1000):
                assert json.loads(await socket.recv())["data"]["e"] == "aggTrade"
        status = await simulated.status()
        assert status["stream_type"] == "aggTrade"
        assert status["symbols"]["BTCUSDT"]["final_id"] == 222826320
        assert status["ends_at"] == "2020-01-02T15:18:39.811000+00:00"
        assert await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=1) == []
        assert await simulated.api("trades", symbol="BTCUSDT") == []
        rows = await aggregates_of(simulated, symbol="BTCUSDT", fromId=202790190, limit=1)
        assert rows == [{"a": 202790190, "p": "7139.89000000", "q": "0.06702300", "f": 222825297, "l": 222825297,
                         "T": 1577977823305, "m": False, "M": True}]  # fmt: skip
        assert len(await aggregates_of(simulated, symbol="BTCUSDT", limit=1000)) == 1000
        ticker = await simulated.api("ticker/24hr", symbol="BTCUSDT")
        assert (ticker["firstId"], ticker["lastId"]) == (222825297, 222826320)


async def test_rest_can_answer_from_a_better_recording_than_the_stream(recorded_data: Path) -> None:
    faulty = recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv"
    for rest_file, missing in ((recorded_data / "TRXUSDT-trades-2025-03-04.csv", []), (None, [348656872])):
        async with exchange(SIM_FILE=faulty, SIM_REST_FILE=rest_file) as simulated:
            assert await simulated.api("trades", symbol="TRXUSDT") == []  # the clock stands before the first trade
            async with simulated.stream("/stream?streams=trxusdt@trade") as socket:
                for _ in range(10_000):
                    await socket.recv()
            rows = await simulated.api("historicalTrades", symbol="TRXUSDT", fromId=348656870, limit=5)
            expected = [number for number in range(348656870, 348656876) if number not in missing]
            assert [row["id"] for row in rows] == expected[:5]
            assert rows[0]["price"] == "0.2312"  # as recorded, not padded
            status = await simulated.status()
            assert status["as_of"] == status["ends_at"] == "2025-03-04T00:47:59.150375+00:00"


async def test_official_klines_are_served_as_recorded(recorded_data: Path, tmp_path: Path) -> None:
    opened = 1_741_046_460_000  # the recording's second minute
    line = f"{opened},1.5,2.5,0.5,1,7,{opened + 59_999},8,9,3,4,0"
    klines = tmp_path / "TRXUSDT-1m-2025-03-04.csv"
    klines.write_text(line + "\n")
    trades = recorded_data / "TRXUSDT-trades-2025-03-04.csv"
    async with exchange(SIM_FILE=trades, SIM_KLINES_FILE=klines) as simulated:
        async with simulated.stream("/stream?streams=trxusdt@trade") as socket:
            for _ in range(10_000):
                await socket.recv()
        rows = await simulated.api("klines", symbol="TRXUSDT", interval="1m", startTime=opened, endTime=opened)
        assert rows == [[opened, "1.50000000", "2.50000000", "0.50000000", "1.00000000", "7.00000000", opened + 59_999,
                         "8.00000000", 9, "3.00000000", "4.00000000", "0"]]  # fmt: skip
        open_minute = await simulated.api("klines", symbol="TRXUSDT", interval="1m", limit=1)
        assert open_minute[0][0] == 1_741_049_279_150 // 60_000 * 60_000
        assert 1_741_049_279_150 - open_minute[0][0] < MINUTE // 1000
