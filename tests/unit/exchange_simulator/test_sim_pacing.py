"""Pacing, with a clock that advances only during sleeps."""

import pytest

from crypto_analytics.core.minutes import MINUTE, SECOND
from crypto_analytics.runtime.clock import wall_clock
from exchange_simulator.pacing import FixedRate, RealTime
from exchange_simulator.play_reader import PlayReader
from exchange_simulator.trades import Trade
from tests.unit.exchange_simulator.harness import exchange, messages

pytestmark = pytest.mark.asyncio

START = 1_767_571_200_000_000


class Time:
    """Seconds since START; sleeping is what makes them pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def clock(self) -> int:
        return START + round(self.seconds * SECOND)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def trade(seconds: float) -> Trade:
    return Trade("BTCUSDT", 1, "1", "1", START + round(seconds * SECOND), buyer_is_maker=False)


async def test_a_fixed_rate_is_kept_and_caught_up_with() -> None:
    time = Time()
    pace = FixedRate(100, time.now, time.sleep)
    assert pace.begin(START) == START
    position = 0
    while position < 1000:
        position += (await pace.due(trade(0), position)).trades
        assert position <= time.seconds * 100 + 1e-6
    assert 10.0 <= time.seconds < 10.1
    time.seconds += 5
    for _ in range(2):  # what was due meanwhile goes without a pause
        position += (await pace.due(trade(0), position)).trades
    assert position == 1500
    assert time.seconds < 15.2


async def test_a_slow_rate_waits_for_each_trade() -> None:
    time = Time()
    pace = FixedRate(0.5, time.now, time.sleep)
    pace.begin(START)
    assert (await pace.due(trade(0), 0)).trades == 1
    assert time.seconds == pytest.approx(2.0)


async def test_in_real_time_each_trade_is_sent_at_its_time() -> None:
    time = Time()
    pace = RealTime(time.clock, time.sleep)
    time.seconds = 3.0
    assert pace.begin(START) == START + 3 * SECOND
    due = await pace.due(trade(3.5), 0)
    assert time.seconds == pytest.approx(3.5)
    assert due.latest == START + 3_500_000
    await pace.end(START + MINUTE)
    assert time.seconds == pytest.approx(60.0)


async def test_the_play_reader_takes_up_to_a_time_and_across_parts() -> None:
    cursor = PlayReader(iter([iter([trade(1), trade(2), trade(3)]), iter([]), iter([trade(4), trade(5)])]))
    taken = []
    latest = START + 2 * SECOND
    while (first := await cursor.peek()) is not None:
        assert await cursor.peek() is first
        taken.append([trade.time - START for trade in cursor.take(10, latest)])
        latest = START + 9 * SECOND
    assert taken == [[SECOND, 2 * SECOND], [3 * SECOND], [4 * SECOND, 5 * SECOND]]
    with pytest.raises(RuntimeError):
        cursor.take(1, None)


async def test_a_real_time_play_sends_trades_as_they_happen() -> None:
    async with exchange(SIM_START="now", SIM_MINUTES=0, SIM_TRADES_PER_MINUTE=12_000) as simulated:
        history = await simulated.api("trades", symbol="BTCUSDT", limit=1)
        begun = wall_clock()
        async with simulated.stream("/stream?streams=btcusdt@trade&timeUnit=MICROSECOND") as socket:
            for message in await messages(socket, 40):
                assert begun <= message["T"] <= wall_clock()
                assert wall_clock() - message["T"] < 2 * SECOND
        assert history[0]["time"] * 1000 <= begun


async def test_a_fixed_rate_continues_without_clients() -> None:
    async with exchange(SIM_RATE=400) as simulated:
        async with simulated.stream() as socket:
            await socket.recv()
        await simulated.until_done()
        status = await simulated.status()
        assert status["trades_sent"] == 120
        assert status["frames_sent"] < 120
