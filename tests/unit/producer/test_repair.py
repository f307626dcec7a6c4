"""Repair gaps from REST: each missing id is sent, refused, or retried later."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from crypto_analytics.binance.errors import Blocked, Unavailable
from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.gap_reasons import GapReasons
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades, trade_object
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.runtime import metrics
from tests.unit.producer.exchange import TIME, MemoryExchange, trade
from tests.unit.producer.memory_sink import MemorySink

RULES = Rules(frozenset({"BTCUSDT", "ETHUSDT"}), TIME + 10**12)


class World:
    """A listener and a repairer with an exchange in memory, and a clock that only the test advances."""

    def __init__(self, exchange: MemoryExchange, aggregated_above: int = 100_000) -> None:
        self.exchange = exchange
        self.sink = MemorySink()
        self.reasons = GapReasons()
        self.listener = StreamListener(["BTCUSDT", "ETHUSDT"], self.sink, exchange, lambda: RULES, reasons=self.reasons)
        self.now = 0.0
        rest_trades = RestTrades(exchange, aggregated_above=aggregated_above)
        self.repairer = Repairer(
            self.listener.ids,
            rest_trades,
            self.sink,
            lambda: RULES,
            reasons=self.reasons,
            now=lambda: self.now,
            random=Random(5),
        )

    async def stream(self, *trade_ids: int, symbol: str = "BTCUSDT") -> None:
        for trade_id in trade_ids:
            await self.listener.on_frame(b'{"stream":"x","data":' + trade_object(symbol, trade(trade_id)) + b"}", 1)

    async def repair(self) -> None:
        self.repairer.queue_due()  # a repair begins at the second call
        self.repairer.queue_due()
        while await self.repairer.fetch_next_page():
            pass

    def sent(self, symbol: str = "BTCUSDT") -> IdRanges:
        return IdRanges((t.first_id, t.last_id) for name, t, _ in self.sink.trades if name == symbol)

    def gaps(self, symbol: str = "BTCUSDT") -> list[tuple[int, int]]:
        return [tuple(gap) for gap in self.listener.ids[symbol].gaps]


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    count=st.integers(1, 60),
    aggregated_above=st.sampled_from([1, 5, 100_000]),
    refuses=st.sampled_from([set(), {"historical_trades"}, {"agg_trades"}]),
)
def test_whatever_is_dropped_doubled_or_reordered_every_id_is_sent_at_least_once(
    data: st.DataObject, count: int, aggregated_above: int, refuses: set[str]
) -> None:
    exchange = MemoryExchange(first=1, last=100 + count, refuses=refuses)
    ids = list(range(100, 101 + count))
    kept = data.draw(st.lists(st.sampled_from(ids), max_size=2 * count))
    arrival = data.draw(st.permutations(kept))

    async def run() -> None:
        world = World(exchange, aggregated_above)
        await world.stream(100)
        await world.stream(*arrival)
        await world.listener.catch_up(["BTCUSDT"])
        await world.repair()
        assert world.sent().covers(100, 100 + count)
        assert world.gaps() == []
        assert world.sink.rejected == []

    asyncio.run(run())


def test_a_host_that_does_not_serve_a_method_is_asked_that_way_once_a_repair() -> None:
    async def run() -> None:
        exchange = MemoryExchange(last=5000, lacking=IdRanges([(5, 6)]), refuses={"historical_trades", "agg_trades"})
        world = World(exchange)
        await world.stream(1, 10)
        await world.repair()
        assert exchange.asked == ["historical_trades", "recent_trades", "agg_trades"]

    asyncio.run(run())


def test_a_gap_that_closes_by_itself_is_not_repaired() -> None:
    async def run() -> None:
        world = World(MemoryExchange(last=10))
        await world.stream(1, 3)
        world.repairer.queue_due()
        await world.stream(2)
        world.repairer.queue_due()
        assert await world.repairer.fetch_next_page() is False
        assert world.exchange.asked == []

    asyncio.run(run())


def test_a_repaired_gap_is_counted_and_its_trades_are_marked() -> None:
    async def run() -> None:
        before = {name: metric(name) for name in ("gaps_found_total", "gaps_repaired_total", "trades_repaired_total")}
        world = World(MemoryExchange(last=10))
        await world.stream(1, 5)
        await world.repair()
        assert [source for _, _, source in world.sink.trades] == ["ws", "ws", "rest", "rest", "rest"]
        grown = {name: metric(name) - value for name, value in before.items()}
        assert grown == {"gaps_found_total": 1, "gaps_repaired_total": 1, "trades_repaired_total": 3}

    asyncio.run(run())


def test_ids_that_the_exchange_lacks_stay_a_gap_and_are_retried_later_and_found_once() -> None:
    async def run() -> None:
        before = metric("gaps_found_total")
        world = World(MemoryExchange(last=20, lacking=IdRanges([(5, 6)])))
        await world.stream(1, 10)
        await world.repair()
        assert world.gaps() == [(5, 6)]
        asked = len(world.exchange.asked)
        await world.repair()
        assert len(world.exchange.asked) == asked, "it is deferred"
        world.now += 5
        await world.repair()
        assert len(world.exchange.asked) > asked
        world.now += 900
        world.exchange.lacking = IdRanges()
        await world.repair()
        assert world.gaps() == []
        assert metric("gaps_found_total") - before == 1

    asyncio.run(run())


def test_a_gap_that_cannot_be_repaired_does_not_block_others() -> None:
    async def run() -> None:
        world = World(MemoryExchange(last=40, lacking=IdRanges([(5, 6)])))
        await world.stream(1, 10)
        await world.repair()
        await world.stream(20)
        await world.repair()
        assert world.gaps() == [(5, 6)]

    asyncio.run(run())


@pytest.mark.parametrize("error", [Unavailable("away"), Blocked("set BINANCE_REST_URL")])
def test_a_gap_is_retried_later_if_the_exchange_is_unreachable(error: Exception) -> None:
    async def run() -> None:
        world = World(MemoryExchange(last=40, failing=error))  # type: ignore[arg-type]
        await world.stream(1, 10)
        await world.repair()
        assert world.gaps() == [(2, 9)]
        assert len(world.exchange.asked) == 1, "one failure is enough for now"
        world.exchange.failing = None
        world.now += 5
        await world.repair()
        assert world.gaps() == []

    asyncio.run(run())


def test_a_row_that_is_no_good_trade_is_a_dead_letter_and_stays_missing() -> None:
    class Wrong(MemoryExchange):
        async def historical_trades(self, *args: Any, **kwargs: Any) -> Any:
            rows = await super().historical_trades(*args, **kwargs)
            return [type(row)(row.id, "0.0" if row.id == 3 else row.price, row.qty, row.time, True) for row in rows]

    async def run() -> None:
        world = World(Wrong(last=40, refuses={"recent_trades", "agg_trades"}))
        await world.stream(1, 5)
        await world.repair()
        assert world.gaps() == [(3, 3)]
        assert {(reason, source) for _, reason, source in world.sink.rejected} == {("bad_price", "rest")}

    asyncio.run(run())


def test_a_large_gap_is_repaired_aggregated_with_individual_trades_at_its_edges() -> None:
    async def run() -> None:
        world = World(MemoryExchange(last=500, per_aggregate=10), aggregated_above=100)
        await world.stream(4, 335)
        await world.repair()
        assert world.sent().covers(4, 335)
        repaired = [t for _, t, source in world.sink.trades if source == "rest"]
        assert {t.last_id - t.first_id + 1 for t in repaired} == {1, 10}
        assert len([t for t in repaired if t.first_id == t.last_id]) == 5 + 5

    asyncio.run(run())


def test_live_trades_flow_while_a_repair_is_under_way() -> None:
    async def run() -> None:
        asked, release = asyncio.Event(), asyncio.Event()

        class Slow(MemoryExchange):
            async def historical_trades(self, *args: Any, **kwargs: Any) -> Any:
                asked.set()
                await release.wait()
                return await super().historical_trades(*args, **kwargs)

        world = World(Slow(last=100))
        await world.stream(1, 10)
        running = asyncio.create_task(world.repairer.run(0.01))
        await asyncio.wait_for(asked.wait(), 10)
        await world.stream(11, 12)
        await world.stream(7, 8, symbol="ETHUSDT")
        assert list(world.sent()) == [(1, 1), (10, 12)]
        assert list(world.sent("ETHUSDT")) == [(7, 8)]
        release.set()
        await until(lambda: world.gaps() == [])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert list(world.sent()) == [(1, 12)]

    asyncio.run(run())


def test_a_sink_that_fails_ends_the_repairer() -> None:
    class Broken(MemorySink):
        async def send(self, *args: Any) -> None:
            if args[-1] == "rest":
                raise RuntimeError("broken")

    async def run() -> None:
        world = World(MemoryExchange(last=100))
        world.sink = Broken()
        world.listener._sink = world.repairer._sink = world.sink
        await world.stream(1, 10)
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(world.repairer.run(0.01), 10)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_each_symbol_reports_for_how_long_its_gap_has_been_open() -> None:
    def open_for(symbol: str) -> float | None:
        return REGISTRY.get_sample_value("gap_open_seconds", {"symbol": symbol})

    async def run() -> None:
        world = World(MemoryExchange(last=10))
        await world.stream(1, 3)
        world.repairer.queue_due()
        world.now = 40.0
        world.repairer.queue_due()
        assert (open_for("BTCUSDT"), open_for("ETHUSDT")) == (40.0, 0.0)
        await world.stream(2)
        world.repairer.queue_due()
        assert open_for("BTCUSDT") == 0.0

    metrics.GAP_OPEN_SECONDS.clear()
    asyncio.run(run())
