"""The WebSocket streams over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from crypto_analytics.binance.trade_decoder import Rules, decode_one
from crypto_analytics.core.deduplication import deduplicate
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import TradeColumns
from tests.unit.exchange_simulator.harness import SECONDS, Exchange, exchange, ids, messages, to_the_end

pytestmark = pytest.mark.asyncio

ALL = Rules(frozenset({"BTCUSDT", "ETHUSDT", "TRXUSDT"}), 2**62)


async def test_a_combined_stream_of_two_symbols() -> None:
    async with exchange(SYMBOLS="BTCUSDT,ETHUSDT,BNBUSDT") as simulated:
        async with simulated.stream("/stream?streams=btcusdt@trade/ethusdt@trade") as socket:
            received = [await socket.recv() for _ in range(240)]
        assert all(isinstance(frame, str) for frame in received)
        decoded = [json.loads(frame) for frame in received]
        assert {message["stream"] for message in decoded} == {"btcusdt@trade", "ethusdt@trade"}
        first = decoded[0]["data"]
        assert list(first) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
        assert first["E"] == first["T"]
        assert first["T"] < 10**13
        for symbol in ("BTCUSDT", "ETHUSDT"):
            own = [message["data"]["t"] for message in decoded if message["data"]["s"] == symbol]
            assert own == list(range(own[0], own[0] + 120))
        assert [m["data"]["T"] for m in decoded] == sorted(m["data"]["T"] for m in decoded)
        values = [json.dumps(message["data"]).encode() for message in decoded]
        assert all(decode_one(value, ALL)[1].raw == value for value in values)  # the platform takes all of them


async def test_two_runs_with_one_seed_send_the_same_bytes() -> None:
    runs = []
    for seed in (1, 1, 2):
        async with exchange(SIM_SEED=seed) as simulated, simulated.stream() as socket:
            runs.append([await socket.recv() for _ in range(120)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_raw_streams_and_microseconds() -> None:
    async with (
        exchange(SIM_RATE=200, SIM_MINUTES=0) as simulated,
        simulated.stream("/ws/btcusdt@trade?timeUnit=MICROSECOND") as raw,
        simulated.stream() as combined,
    ):
        exact = [json.loads(await raw.recv()) for _ in range(50)]
        rough = await messages(combined, 50)
    by_id = {message["t"]: message for message in exact}
    shared = [message for message in rough if message["t"] in by_id]
    assert shared
    for message in shared:
        assert by_id[message["t"]]["T"] // 1000 == message["T"]
        assert by_id[message["t"]] | {"T": 0, "E": 0} == message | {"T": 0, "E": 0}


async def test_aggregates_follow_the_last_trade_they_cover() -> None:
    async with exchange() as simulated:
        async with simulated.stream("/stream?streams=btcusdt@trade/btcusdt@aggTrade") as socket:
            received = await messages(socket, 120 + 90)
        rest = await simulated.api("aggTrades", symbol="BTCUSDT", limit=90)
    aggregates = [message for message in received if message["e"] == "aggTrade"]
    assert list(aggregates[0]) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
    assert [{name: message[name] for name in rest[0]} for message in aggregates] == rest
    for before, message in pairwise(received):
        if message["e"] == "aggTrade":
            assert before["t"] == message["l"]
    # Both streams together hold each trade twice, and the platform counts it once.
    trades = [decode_one(json.dumps(message).encode(), ALL)[1] for message in received]
    result = deduplicate(TradeColumns.of(trades), IdRanges())
    assert (len(result.fresh), result.duplicates, result.rejected) == (120, 90, [])


async def test_streams_can_be_added_and_removed() -> None:
    async with exchange(SIM_RATE=100) as simulated, simulated.stream("/ws") as socket:
        await socket.send('{"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}')
        assert json.loads(await socket.recv()) == {"result": None, "id": 1}
        assert json.loads(await socket.recv())["e"] == "trade"
        await socket.send('{"method": "LIST_SUBSCRIPTIONS", "id": "x"}')
        while (answer := json.loads(await socket.recv())).get("id") != "x":
            assert answer["e"] == "trade"
        assert answer["result"] == ["btcusdt@trade"]
        await socket.send('{"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3}')
        while "e" in (answer := json.loads(await socket.recv())):
            pass
        assert answer == {"result": None, "id": 3}
        await socket.send("{")
        assert json.loads(await socket.recv())["error"]["code"] == 3
        await socket.send('{"method": "DANCE", "id": 4}')
        assert json.loads(await socket.recv())["error"]["code"] == 2


async def test_invalid_stream_requests_are_refused() -> None:
    many = "/".join(f"s{number}@trade" for number in range(1025))
    async with exchange() as simulated:
        for path in ("/stream?streams=btcusdt@trade&timeUnit=HOUR", f"/stream?streams={many}"):
            with pytest.raises(InvalidStatus) as caught:
                await simulated.stream(path)
            assert caught.value.response.status_code == 400


async def test_a_recorded_stream_is_sent_byte_for_byte(recorded_data: Path) -> None:
    path = recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv"
    expected = [line.split("\t", 1)[1] for line in path.read_text().splitlines()]
    async with exchange(SIM_FILE=path) as simulated:
        async with simulated.stream("/stream?streams=trxusdt@trade") as socket:
            assert [await socket.recv() for _ in expected] == expected
        status = await simulated.status()
        assert (status["trades_sent"], status["trades_total"]) == (10_000, 10_000)
        assert status["symbols"]["TRXUSDT"]["last_time"] == 1741049279150375
    async with exchange(SIM_FILE=path) as simulated, simulated.stream("/ws/trxusdt@trade") as socket:
        assert await socket.recv() == expected[0].removeprefix('{"stream":"trxusdt@trade","data":')[:-1]


async def test_a_recorded_archive_is_streamed_as_trades(recorded_data: Path) -> None:
    stream = recorded_data / "TRXUSDT-stream-2025-03-04.tsv"
    expected = [json.loads(line.split("\t", 1)[1])["data"] for line in stream.read_text().splitlines()]
    archive = recorded_data / "TRXUSDT-trades-2025-03-04.csv"
    for unit, divisor in (("MICROSECOND", 1), ("MILLISECOND", 1000)):
        path = f"/stream?streams=trxusdt@trade&timeUnit={unit}"
        async with exchange(SIM_FILE=archive) as simulated, simulated.stream(path) as socket:
            received = await messages(socket, 10_000)
        for got, recorded in zip(received, expected, strict=True):
            time = recorded["T"] // divisor
            assert got == recorded | {"E": time, "T": time}


async def test_a_client_that_comes_late_gets_no_replay() -> None:
    async with exchange() as simulated:
        async with simulated.stream() as socket:
            first = await ids(socket, 1)
            await simulated.until_done()
        async with simulated.stream() as late:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(late.recv(), 0.1)
            assert (await simulated.status())["connections"] == 1
        assert first[0] == (await simulated.status())["symbols"]["BTCUSDT"]["first_id"]


async def test_the_play_waits_for_a_client_and_pauses_without_one() -> None:
    async with exchange(SIM_MINUTES=0, SIM_TRADES_PER_MINUTE=6000) as simulated:
        assert (await simulated.status())["state"] == "waiting"
        async with simulated.stream() as socket:
            await socket.recv()
            status = await simulated.status()
            assert (status["state"], status["ends_at"], status["trades_total"]) == ("playing", None, None)
        while (await simulated.status())["connections"]:
            await asyncio.sleep(0.005)
        sent = (await simulated.status())["trades_sent"]
        for _ in range(5):
            await asyncio.sleep(0.02)
            assert (await simulated.status())["trades_sent"] == sent
        async with simulated.stream() as socket:
            (again,) = await ids(socket, 1)
            assert again == (await simulated.status())["symbols"]["BTCUSDT"]["first_id"] + sent


async def until(socket: ClientConnection, last: int) -> list[int]:
    """Return the ids of the trades up to the one with the id ``last``."""
    got: list[int] = []
    while not got or got[-1] < last:
        got += await ids(socket, 1)
    return got


async def test_the_slowest_client_sets_the_speed() -> None:
    trades = 60_000
    async with (
        exchange(SIM_MINUTES=1, SIM_TRADES_PER_MINUTE=trades) as simulated,
        simulated.stream(max_queue=16, close_timeout=1) as slow,
        simulated.stream() as fast,
    ):
        received = asyncio.create_task(
            until(fast, last := (await simulated.status())["symbols"]["BTCUSDT"]["final_id"])
        )
        (first,) = await ids(slow, 1)
        sent = -1
        while sent != (sent := (await simulated.status())["trades_sent"]):  # until nothing moves any more
            await asyncio.sleep(0.3)
        assert sent < trades
        assert not received.done()
        rest = asyncio.create_task(until(slow, last))
        async with asyncio.timeout(SECONDS):
            got = await received
            assert got == list(range(got[0], last + 1))
            assert await rest == list(range(first + 1, last + 1))


async def test_each_client_gets_its_own_streams() -> None:
    async with (
        exchange(SYMBOLS="BTCUSDT,ETHUSDT", SIM_RATE=400, SIM_MINUTES=0) as simulated,
        simulated.stream() as one,
        simulated.stream() as two,
        simulated.stream("/stream?streams=ethusdt@trade") as other,
        simulated.stream("/stream?streams=xrpusdt@trade") as nothing,
    ):
        mine, same, others = await ids(one, 60), await ids(two, 60), await messages(other, 20)
        assert set(mine) & set(same)
        assert {message["s"] for message in others} == {"ETHUSDT"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(nothing.recv(), 0.02)


@asynccontextmanager
async def bare_client(simulated: Exchange) -> AsyncIterator[ClientWebSocketResponse]:
    """Yield a client that leaves pings to the test."""
    url = f"http://127.0.0.1:{simulated.simulator.port}/ws/ethusdt@trade"
    async with ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
        yield socket


async def test_pings_are_sent_and_clients_pings_answered() -> None:
    async with exchange(ping_seconds=0.02, SIM_RATE=1) as simulated, bare_client(simulated) as socket:
        message = await socket.receive(SECONDS)
        assert message.type is WSMsgType.PING
        assert message.data.isdigit()
        await socket.ping(b"hello")
        while (message := await socket.receive(SECONDS)).type is WSMsgType.PING:
            await socket.pong(message.data)
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"hello")


async def test_a_client_that_never_answers_a_ping_is_disconnected() -> None:
    async with exchange(ping_seconds=0.02, pong_seconds=0.1, SIM_RATE=1) as simulated:
        async with bare_client(simulated) as socket:
            while (message := await socket.receive(SECONDS)).type is WSMsgType.PING:
                pass
            assert message.type in {WSMsgType.CLOSED, WSMsgType.ERROR}
        while (await simulated.status())["connections"]:
            await asyncio.sleep(0.005)


async def test_a_client_that_answers_pings_stays_connected() -> None:
    async with exchange(ping_seconds=0.02, pong_seconds=0.1, SIM_RATE=1) as simulated, bare_client(simulated) as socket:
        for _ in range(15):
            message = await socket.receive(SECONDS)
            assert message.type is WSMsgType.PING
            await socket.pong(message.data)


async def test_a_stop_closes_connections_with_a_handshake() -> None:
    async with exchange(SIM_RATE=1) as simulated, simulated.stream() as socket:
        await simulated.simulator.stop()
        assert (await to_the_end(socket)).code == 1001


async def test_a_client_that_does_not_read_does_not_delay_the_stop() -> None:
    async with (
        exchange(SIM_TRADES_PER_MINUTE=100_000) as simulated,
        simulated.stream(max_queue=1, close_timeout=0.1) as socket,
    ):
        await ids(socket, 1)
        async with asyncio.timeout(9):
            await simulated.simulator.stop()
