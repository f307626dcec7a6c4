"""Scripted faults."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import pytest

from crypto_analytics.binance.trade_decoder import BadTrade, Rules, decode_one
from tests.unit.exchange_simulator.harness import SECONDS, exchange, ids, to_the_end

pytestmark = pytest.mark.asyncio


def script(*faults: dict[str, Any]) -> dict[str, Any]:
    return {"SIM_FAULTS": json.dumps(faults)}


async def test_a_dropped_connection_leaves_a_gap_that_rest_can_fill() -> None:
    async with exchange(**script({"type": "drop", "at": 60}), SIM_RATE=500) as simulated:
        async with simulated.stream() as socket:
            ended = await to_the_end(socket)
        assert ended.code is None  # no closing handshake
        got = [message["t"] for message in ended.received]
        assert got == list(range(got[0], got[0] + len(got)))
        assert len(got) <= 60
        while (await simulated.status())["trades_sent"] < 80:
            await asyncio.sleep(0.005)
        async with simulated.stream() as socket:
            (again,) = await ids(socket, 1)
        assert again > got[-1] + 1
        rows = await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=got[-1] + 1, limit=again - got[-1] - 1)
        assert [row["id"] for row in rows] == list(range(got[-1] + 1, again))


async def test_a_stalled_connection_is_silent_and_then_goes_on() -> None:
    async with exchange(**script({"type": "stall", "at": 10, "seconds": 0.4})) as simulated:
        async with simulated.stream() as socket:
            first = await ids(socket, 10)
            before = time.monotonic()
            rest = await ids(socket, 110)
            assert time.monotonic() - before > 0.3
        assert rest == list(range(first[-1] + 1, first[-1] + 111))


async def test_a_stalled_connection_does_not_stall_a_new_one() -> None:
    faults = script({"type": "stall", "at": 10, "seconds": 600})
    async with exchange(**faults, SIM_RATE=20) as simulated, simulated.stream() as socket:
        await ids(socket, 10)
        pong = await socket.ping()
        await asyncio.wait_for(pong, SECONDS)  # it is silent, not dead
        async with simulated.stream() as second:
            assert len(await ids(second, 10)) == 10
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)


async def test_duplicates_repeat_the_last_trades_and_are_not_counted_as_sent() -> None:
    async with exchange(**script({"type": "duplicate", "at": 20, "count": 5})) as simulated:
        async with simulated.stream() as socket:
            got = await ids(socket, 125)
        first = got[0]
        assert got == [*range(first, first + 20), *range(first + 15, first + 20), *range(first + 20, first + 120)]
        status = await simulated.status()
        assert (status["trades_sent"], status["duplicates_sent"], status["frames_sent"]) == (120, 5, 125)


@pytest.mark.parametrize("count", [7, 90, 1000])
async def test_reordered_trades_are_shuffled_by_seed_and_none_is_lost(count: int) -> None:
    orders = []
    for seed in (1, 1, 2):
        faults = script({"type": "reorder", "at": 20, "count": count, "seed": seed})
        async with exchange(**faults) as simulated, simulated.stream() as socket:
            orders.append(await ids(socket, 120))
    first = min(orders[0])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0][:20] == list(range(first, first + 20))
    moved = min(count, 100)
    assert orders[0][20 : 20 + moved] != list(range(first + 20, first + 20 + moved))
    assert sorted(orders[0][20 : 20 + moved]) == list(range(first + 20, first + 20 + moved))
    assert orders[0][20 + moved :] == list(range(first + 20 + moved, first + 120))


async def test_rest_does_not_return_trades_that_are_held_back() -> None:
    faults = script({"type": "reorder", "at": 20, "count": 60})
    async with exchange(**faults, SIM_RATE=100) as simulated, simulated.stream() as socket:
        first, *_ = await ids(socket, 20)
        last_shown = (await simulated.api("trades", symbol="BTCUSDT", limit=1))[0]["id"]
        assert last_shown == first + 19
        assert min(await ids(socket, 60)) == first + 20
        assert (await simulated.api("trades", symbol="BTCUSDT", limit=1))[0]["id"] >= first + 79


async def test_rest_returns_the_trades_of_a_gap() -> None:
    async with exchange(**script({"type": "gap", "at": 20, "count": 5})) as simulated:
        async with simulated.stream() as socket:
            got = await ids(socket, 115)
        first = got[0]
        assert got == [*range(first, first + 20), *range(first + 25, first + 120)]
        status = await simulated.status()
        assert (status["trades_sent"], status["trades_swallowed"]) == (115, 5)
        rows = await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=first + 20, limit=5)
        assert [row["id"] for row in rows] == list(range(first + 20, first + 25))


async def test_rest_can_lack_the_trades_of_a_gap_for_ever() -> None:
    fault = {"type": "gap", "at": 20, "count": 5, "rest_missing": "forever"}
    async with exchange(**script(fault)) as simulated:
        async with simulated.stream() as socket:
            first = (await ids(socket, 115))[0]
        gap = set(range(first + 20, first + 25))
        rows = await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=first, limit=30)
        assert [row["id"] for row in rows] == [n for n in range(first, first + 35) if n not in gap]  # a full page
        latest = await simulated.api("trades", symbol="BTCUSDT", limit=1000)
        assert gap.isdisjoint(row["id"] for row in latest)
        aggregates = await simulated.api("aggTrades", symbol="BTCUSDT", limit=1000)
        covered = {n for row in aggregates for n in range(row["f"], row["l"] + 1)}
        assert gap.isdisjoint(covered)
        assert {row[8] for row in await simulated.api("klines", symbol="BTCUSDT", interval="1m")} == {60}


async def test_rest_can_lack_the_trades_of_a_gap_for_a_while() -> None:
    fault = {"type": "gap", "at": 20, "count": 5, "rest_missing": 0.5}
    async with exchange(**script(fault)) as simulated:
        before = time.monotonic()
        async with simulated.stream() as socket:
            first = (await ids(socket, 115))[0]

        async def page() -> list[int]:
            rows = await simulated.api("historicalTrades", symbol="BTCUSDT", fromId=first + 20, limit=1)
            return [row["id"] for row in rows]

        assert await page() == [first + 25]
        while await page() != [first + 20]:
            assert time.monotonic() - before < SECONDS
        assert time.monotonic() - before >= 0.5


@pytest.mark.parametrize("kind", ["not_json", "wrong_types", "empty_frame", "large_frame", "unknown_symbol", "binary"])
@pytest.mark.parametrize("path", ["/stream?streams=btcusdt@trade", "/ws/btcusdt@trade"])
async def test_malformed_frames_come_between_good_ones(kind: str, path: str) -> None:
    faults = script({"type": "malformed", "at": 20, "kind": kind, "count": 2})
    async with exchange(**faults) as simulated, simulated.stream(path) as socket:
        frames = [await socket.recv() for _ in range(122)]
    assert len(frames[20]) == {"empty_frame": 0, "large_frame": 1_000_000}.get(kind, len(frames[20]))
    assert isinstance(frames[20], bytes) == (kind == "binary")
    assert frames[20] == frames[21]
    rules = Rules(frozenset({"BTCUSDT"}), 2**62)
    good = [frame for frame in frames if _is_good(frame, rules)]
    assert good == frames[:20] + frames[22:]


def _is_good(frame: str | bytes, rules: Rules) -> bool:
    try:
        message = json.loads(frame)
        decode_one(json.dumps(message.get("data", message)).encode(), rules)
    except (ValueError, BadTrade):
        return False
    return True


async def test_a_shutdown_notice_comes_before_the_close() -> None:
    fault = {"type": "server_shutdown", "at": 20, "close_after": 0.05}
    async with exchange(**script(fault), SIM_RATE=400) as simulated, simulated.stream() as socket:
        await ids(socket, 20)
        frame = json.loads(await socket.recv())
        notice = frame["data"]
        assert (frame["stream"], notice["e"]) == ("!serverShutdown", "serverShutdown")
        assert "s" not in notice
        async with simulated.stream() as second:
            assert (await to_the_end(socket)).code == 1001
            assert len(await ids(second, 20)) == 20  # a connection opened after the notice is kept


async def test_faults_can_be_added_while_it_plays() -> None:
    async with exchange(SIM_RATE=200) as simulated, simulated.stream() as socket:
        got = await ids(socket, 5)
        added = await simulated.fault({"type": "duplicate", "count": 1}, {"type": "gap", "count": 1, "at": 100})
        assert added == {"added": 2, "pending": 1}
        got += await ids(socket, 100)
        steps = [after - before for before, after in pairwise(got)]
        assert steps.count(0) == 1
        assert steps.count(2) == 1
        await simulated.fault({"type": "drop"})
        assert (await to_the_end(socket)).code is None


async def test_faults_work_after_the_play_too() -> None:
    async with exchange() as simulated, simulated.stream() as socket:
        await ids(socket, 120)
        await simulated.until_done()
        await simulated.fault({"type": "duplicate", "count": 3})
        assert len(await ids(socket, 3)) == 3
        await simulated.fault({"type": "drop"})
        assert (await to_the_end(socket)).code is None


@pytest.mark.parametrize(
    ("status", "code", "waits"), [(429, -1003, True), (418, -1003, True), (451, 0, False), (500, -1000, False)]
)
async def test_rest_faults(status: int, code: int, waits: bool) -> None:
    fault = {"type": "rest", "status": status, "count": 2, "path": "/api/v3/klines", "retry_after": 7}
    async with exchange(**script(fault)) as simulated:
        assert await simulated.api("ping") == {}
        for _ in range(2):
            answer = await simulated.http.get("/api/v3/klines?symbol=BTCUSDT&interval=1m")
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers.get("Retry-After") == ("7" if waits else None)
        assert len(await simulated.api("klines", symbol="BTCUSDT", interval="1m")) == 3


async def test_a_rest_fault_can_wait_for_a_trade() -> None:
    async with exchange(**script({"type": "rest", "status": 500, "at": 50})) as simulated:
        assert await simulated.api("ping") == {}
        async with simulated.stream() as socket:
            await ids(socket, 51)
        assert (await simulated.http.get("/api/v3/ping")).status_code == 500
        assert await simulated.api("ping") == {}


async def test_slow_rest() -> None:
    async with exchange(**script({"type": "rest_slow", "seconds": 0.3})) as simulated:
        before = time.monotonic()
        await simulated.api("ping")
        assert time.monotonic() - before >= 0.3
        before = time.monotonic()
        await simulated.api("ping")
        assert time.monotonic() - before < 0.3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[{]", "malformed"),
        (b"{}", "Expected `array`"),
        (b'[{"type": "flood"}]', "Invalid value 'flood' - at `$[0].type`"),
        (b'[{"type": "drop"}, {"type": "stall"}]', "missing required field `seconds` - at `$[1]`"),
        (b'[{"type": "drop", "att": 1}]', "unknown field `att`"),
        (b'[{"type": "duplicate", "count": 0}]', "Expected `int` >= 1"),
        (b'[{"type": "rest", "status": 404}]', "Invalid enum value 404"),
        (b'[{"type": "malformed", "kind": "odd"}]', "Invalid enum value 'odd'"),
        (b'[{"type": "gap", "count": 1, "rest_missing": "long"}]', "rest_missing"),
        (b'[{"type": "\xff"}]', "faults:"),
    ],
)  # fmt: skip
async def test_an_invalid_script_is_refused_as_a_whole(body: bytes, message: str) -> None:
    async with exchange() as simulated:
        answer = await simulated.http.post("/sim/faults", content=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]
        assert (await simulated.status())["faults_pending"] == 0
