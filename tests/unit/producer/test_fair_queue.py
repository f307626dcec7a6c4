"""No repair starves another: turns by symbol and by age, on a clock that only the exchange's answers advance."""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.rest import HistoricalTrade
from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.producer.fair_queue import FairQueue, QueuedRepair
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades
from crypto_analytics.producer.trade_ids import TradeIds
from tests.unit.producer.exchange import TIME, MemoryExchange, trade
from tests.unit.producer.memory_sink import MemorySink

SYMBOLS = [f"S{number}USDT" for number in range(12)]
HUGE = 40_000
SECONDS_A_REQUEST = 0.25


class Costly(MemoryExchange):
    """An exchange whose requests take a quarter of a second each on the test's clock."""

    now = 0.0

    async def historical_trades(self, symbol: str, from_id: int, limit: int = 1000) -> list[HistoricalTrade]:
        self._ask(symbol)
        self.now += SECONDS_A_REQUEST
        return [trade(trade_id) for trade_id in range(from_id, min(self.last + 1, from_id + limit))]


class World:
    def __init__(self) -> None:
        self.exchange = Costly(first=0, last=10**9)
        self.sink = MemorySink()
        self.ids = {symbol: TradeIds() for symbol in SYMBOLS}
        rules = Rules(frozenset(SYMBOLS), TIME + 10**12)
        self.repairer = Repairer(
            self.ids,
            RestTrades(self.exchange, aggregated_above=100_000),
            self.sink,
            lambda: rules,
            now=lambda: self.exchange.now,
            random=Random(1),
        )

    def miss(self, symbol: str, first: int, count: int) -> None:
        ids = self.ids[symbol]
        ids.observe(first - 1, first - 1)
        ids.observe(first + count, first + count)

    async def pages(self, count: int) -> None:
        self.repairer.queue_due()
        for _ in range(count):
            await self.repairer.fetch_next_page()
            self.repairer.queue_due()


def test_every_small_gap_is_closed_in_time_while_ten_huge_ones_are_repaired() -> None:
    async def run() -> None:
        world = World()
        for symbol in SYMBOLS[:5]:
            world.miss(symbol, 10, HUGE)
            world.miss(symbol, 20 + HUGE, HUGE)
        await world.pages(40)
        started = world.exchange.now
        small = 5
        for symbol in SYMBOLS:
            after = 100_000
            world.ids[symbol].observe(20 + 2 * HUGE if symbol in SYMBOLS[:5] else after, after + 8)
            for number in range(small):
                world.miss(symbol, after + 10 + 10 * number, 3)
        # One in three of a symbol's turns is for a large gap, and each symbol has one in twelve turns.
        bound = 3 * small * len(SYMBOLS) * SECONDS_A_REQUEST
        huge_left = {symbol: world.ids[symbol].gaps.count() for symbol in SYMBOLS[:5]}
        while any(world.ids[symbol].gaps.overlaps(100_010, 200_000) for symbol in SYMBOLS):
            assert world.exchange.now - started <= bound
            await world.pages(1)
        for symbol in SYMBOLS[:5]:
            assert world.ids[symbol].gaps.count() < huge_left[symbol] - 1800, "the huge ones go on meanwhile"

    asyncio.run(run())


def test_huge_gaps_progress_although_new_small_ones_keep_coming() -> None:
    async def run() -> None:
        world = World()
        world.miss(SYMBOLS[0], 10, HUGE)
        world.ids[SYMBOLS[0]].observe(10 + HUGE, 99_998)
        for number in range(130):
            world.miss(SYMBOLS[0], 100_000 + 5 * number, 3)
            await world.pages(1)
        assert not world.ids[SYMBOLS[0]].gaps.overlaps(10, 9 + HUGE)

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), min_size=1, max_size=25))
def test_each_repair_ends_and_symbols_take_turns(works: list[tuple[int, int]]) -> None:
    queue: FairQueue[list[int]] = FairQueue()
    for number, (symbol, pages) in enumerate(works):
        queue.add(QueuedRepair(str(symbol), number, [pages]))
    turns = []
    while (share := queue.take()) is not None:
        turns.append(share.symbol)
        share.work[0] -= 1
        if share.work[0]:
            queue.add(share)
    assert len(turns) == sum(pages for _, pages in works)
    left = {str(symbol): sum(pages for s, pages in works if s == symbol) for symbol, _ in works}
    for position, symbol in enumerate(turns):
        others = {s for s, pages in left.items() if pages and s != symbol}
        left[symbol] -= 1
        if left[symbol]:
            upcoming = turns[position + 1 : position + 1 + len(others)]
            assert set(upcoming) == others, "everyone else has a turn before this symbol's next"
