"""Ids that the exchange never issued are distinguished from those that it has but does not show."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from crypto_analytics.binance.rest import AggTrade, HistoricalTrade
from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.absent_ids import (
    CONFIRM_SECONDS,
    AbsenceTracker,
    absent_between_aggregates,
    absent_between_trades,
)
from crypto_analytics.producer.gap_check import GapCheck
from crypto_analytics.producer.gap_reasons import GapReason, GapReasons, VerifiedAbsence
from crypto_analytics.producer.gap_store import MergedGap, RefusedGap
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades
from crypto_analytics.producer.trade_ids import TradeIds
from tests.unit.producer.exchange import TIME, MemoryExchange, trade
from tests.unit.producer.memory_sink import MemorySink

RULES = Rules(frozenset({"BTCUSDT"}), TIME + 10**12)
TOP = 60


@dataclass
class Issuer(MemoryExchange):
    """Has the trades ``issued``; serves none before ``first`` or after ``last``, and hides ``hidden`` for a while.

    Each run of at most three issued ids is an aggregate; the aggregate ids ``voids`` are void.
    """

    issued: set[int] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)
    voids: set[int] = field(default_factory=set)
    page: int = 1000

    def _has(self, trade_id: int) -> bool:
        return trade_id in self.issued and trade_id not in self.hidden and self.first <= trade_id <= self.last

    async def historical_trades(self, symbol: str, from_id: int, limit: int = 1000) -> list[HistoricalTrade]:
        self._ask("historical_trades")
        served = [trade_id for trade_id in range(from_id, TOP + 1) if self._has(trade_id)]
        return [trade(trade_id) for trade_id in served[: min(limit, self.page)]]

    async def recent_trades(self, symbol: str, limit: int = 1000) -> list[HistoricalTrade]:
        self._ask("recent_trades")
        return [trade(trade_id) for trade_id in range(TOP + 1) if self._has(trade_id)][-self.page :]

    def aggregates(self) -> list[AggTrade]:
        rows, number, run = [], 0, list[int]()
        for trade_id in [*sorted(self.issued), TOP + 99]:
            if run and (trade_id != run[-1] + 1 or len(run) == 3):
                while number in self.voids:
                    number += 1
                if all(map(self._has, run)):
                    rows.append(AggTrade(number, "1.0", "1.0", run[0], run[-1], TIME + run[0], True))
                number, run = number + 1, []
            run.append(trade_id)
        return rows

    async def agg_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> list[AggTrade]:
        rows = await super().agg_trades(symbol, from_id=from_id, limit=limit)
        return rows[: self.page] if from_id is not None else rows


IDS = st.sets(st.integers(0, TOP), min_size=2)


@settings(max_examples=200, deadline=None)
@given(
    issued=IDS,
    served=st.tuples(st.integers(0, TOP), st.integers(0, TOP)),
    voids=st.sets(st.integers(0, 25)),
    page=st.integers(2, 70),
    method=st.sampled_from(["individual", "recent", "aggregated"]),
    gap=st.tuples(st.integers(0, TOP), st.integers(0, TOP)),
)
def test_no_page_shows_an_issued_id_to_be_absent(
    *,
    issued: set[int],
    served: tuple[int, int],
    voids: set[int],
    page: int,
    method: str,
    gap: tuple[int, int],
) -> None:
    first = 0 if method == "individual" else min(served)  # a page from id 0 proves the beginning
    exchange = Issuer(first=first, last=max(served), issued=issued, voids=voids, page=page)
    shown: set[int] = set()

    async def run() -> None:
        rest_trades = RestTrades(exchange, aggregated_above=1)
        async for answer in getattr(rest_trades, method)("BTCUSDT", IdRange(min(gap), max(gap))):
            for absent in answer.absent:
                shown.update(range(absent.ids.first, absent.ids.last + 1))

    asyncio.run(run())
    assert shown.isdisjoint(issued)


@settings(max_examples=200, deadline=None)
@given(issued=IDS, page=st.integers(2, 70))
def test_individual_trades_show_every_run_of_absent_ids_that_has_neighbours(issued: set[int], page: int) -> None:
    exchange = Issuer(first=0, last=TOP, issued=issued, page=page)
    rest_trades = RestTrades(exchange, aggregated_above=100)
    for gap in IdRanges((i, i) for i in range(min(issued), max(issued)) if i not in issued):

        async def collect(gap: IdRange = gap) -> IdRanges:
            found = IdRanges()
            async for answer in rest_trades.individual("X", gap):
                for absent in answer.absent:
                    found.add(*absent.ids)
            return found

        assert asyncio.run(collect()).covers(*gap)


def test_a_page_verifies_only_ids_between_its_ends_and_none_if_out_of_order() -> None:
    shown = absent_between_trades("historicalTrades", 4, [4, 7, 8, 12])
    assert [tuple(each.ids) for each in shown] == [(5, 6), (9, 11)]
    assert shown[0].answer == "historicalTrades fromId=4: 7 follows 4 on one page"
    assert absent_between_trades("historicalTrades", 4, [7]) == []
    assert absent_between_trades("historicalTrades", 0, [7]) == []  # a host may have dropped older trades
    assert absent_between_trades("trades", None, [7, 4, 9]) == []
    assert absent_between_trades("trades", None, []) == []


def test_aggregates_verify_ids_only_where_their_own_ids_are_consecutive() -> None:
    def row(a: int, f: int, last: int) -> AggTrade:
        return AggTrade(a, "1", "1", f, last, TIME, True)

    shown = absent_between_aggregates(7, [row(7, 10, 12), row(8, 15, 15), row(10, 20, 21)])
    assert [tuple(each.ids) for each in shown] == [(13, 14)]
    assert absent_between_aggregates(7, [row(7, 10, 12), row(8, 9, 9)]) == []


def test_ids_are_verified_by_a_second_answer_ten_seconds_after_the_first() -> None:
    tracker = AbsenceTracker()
    assert tracker.add(IdRange(5, 9), 100) == []
    assert tracker.add(IdRange(5, 9), 100 + CONFIRM_SECONDS - 0.1) == []
    assert tracker.add(IdRange(4, 7), 100 + CONFIRM_SECONDS) == [(5, 7)]
    tracker.retain(IdRanges([(4, 4), (9, 20)]))
    assert tracker.add(IdRange(4, 9), 100 + CONFIRM_SECONDS + 1) == [(9, 9)]
    assert tracker.add(IdRange(4, 4), 100 + 2 * CONFIRM_SECONDS) == [(4, 4)]


class World:
    def __init__(self, exchange: MemoryExchange, above: int = 1000, reasons: GapReasons | None = None) -> None:
        self.exchange, self.sink, self.now = exchange, MemorySink(), 0.0
        self.reasons = reasons or GapReasons()
        self.ids = {"BTCUSDT": TradeIds()}
        self.repairer = Repairer(
            self.ids,
            RestTrades(exchange, aggregated_above=above),
            self.sink,
            lambda: RULES,
            reasons=self.reasons,
            now=lambda: self.now,
            random=Random(3),
        )

    @property
    def gaps(self) -> IdRanges:
        return self.ids["BTCUSDT"].gaps

    async def repair(self) -> None:
        self.repairer.queue_due()
        self.repairer.queue_due()
        while await self.repairer.fetch_next_page():
            pass


@settings(max_examples=80, deadline=None)
@given(
    issued=IDS,
    seen=st.data(),
    lag=st.floats(0, CONFIRM_SECONDS - 0.5),
    above=st.sampled_from([1, 1000]),
    page=st.integers(4, 70),
    refuses=st.sampled_from([set(), {"historical_trades"}, {"agg_trades"}]),
)
def test_issued_trades_are_sent_although_rest_lags_and_the_others_are_verified_absent(
    *, issued: set[int], seen: st.DataObject, lag: float, above: int, page: int, refuses: set[str]
) -> None:
    exchange = Issuer(first=0, last=TOP, issued=issued, page=page, refuses=refuses)
    exchange.hidden = seen.draw(st.sets(st.sampled_from(sorted(issued))))
    world = World(exchange, above)

    async def run() -> None:
        ids = world.ids["BTCUSDT"]
        ids.observe(min(issued), min(issued))
        ids.observe(max(issued), max(issued))
        for now in (0.0, 1.0, 3.0, lag, 15.0, 30.0, 60.0, 1000.0, 2000.0, 3000.0):
            world.now = max(world.now, now)
            if world.now >= lag:
                exchange.hidden = set()
            await world.repair()

    asyncio.run(run())
    absent = {i for first, last in world.reasons.absent("BTCUSDT") for i in range(first, last + 1)}
    assert absent.isdisjoint(issued)
    if not refuses:
        between = set(range(min(issued) + 1, max(issued)))
        assert absent == between - issued
        assert {t.first_id + n for _, t, _ in world.sink.trades for n in range(t.last_id - t.first_id + 1)} == (
            between & issued
        )
        assert not world.gaps


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_verified_ids_leave_the_gaps_are_counted_and_not_requested_again() -> None:
    async def run() -> None:
        before = metric("trade_ids_verified_absent_total")
        world = World(MemoryExchange(first=0, last=20, lacking=IdRanges([(5, 6)])))
        world.ids["BTCUSDT"].observe(4, 4)
        world.ids["BTCUSDT"].observe(10, 10)
        await world.repair()
        assert list(world.gaps) == [(5, 6)]
        assert world.exchange.asked == ["historical_trades"], "the page covers all ids: nothing else is requested"
        world.now = 20
        await world.repair()
        assert not world.gaps
        (absence,) = world.reasons.unrecorded_absences()
        assert absence[:3] == ("BTCUSDT", (5, 6), "historicalTrades")
        assert absence.answer.startswith("historicalTrades fromId=4: 7 follows 4 on one page, at 2")
        assert metric("trade_ids_verified_absent_total") - before == 2
        asked = len(world.exchange.asked)
        world.now = 5000
        await world.repair()
        assert len(world.exchange.asked) == asked

    asyncio.run(run())


def test_ids_before_the_first_trade_that_a_host_still_has_are_not_verified() -> None:
    async def run() -> None:
        world = World(MemoryExchange(first=3, last=20))
        world.ids["BTCUSDT"].begin(0)
        world.ids["BTCUSDT"].observe(3, 3)
        for now in (0, 20):
            world.now = now
            await world.repair()
        assert list(world.reasons.absent("BTCUSDT")) == []
        assert list(world.gaps) == [(0, 2)]

    asyncio.run(run())


def test_a_host_without_the_endpoint_verifies_nothing_and_the_reason_is_kept() -> None:
    async def run() -> None:
        exchange = MemoryExchange(
            first=0, last=9000, lacking=IdRanges([(5, 6)]), refuses={"historical_trades", "agg_trades"}
        )
        world = World(exchange)
        world.ids["BTCUSDT"].observe(4, 4)
        world.ids["BTCUSDT"].observe(7, 7)
        for now in (0, 20, 2000, 5000):
            world.now = now
            await world.repair()
        assert list(world.gaps) == [(5, 6)]
        assert world.reasons.unrecorded_absences() == []
        assert world.reasons.unrecorded_reasons() == [
            GapReason("BTCUSDT", IdRange(5, 6), "agg_trades is not served here")
        ]

    asyncio.run(run())


def test_a_gap_at_the_end_is_not_verified() -> None:
    async def run() -> None:
        world = World(MemoryExchange(first=0, last=20))
        world.ids["BTCUSDT"].observe(20, 20)
        world.ids["BTCUSDT"].expect(25)
        for now in (0, 20, 2000, 5000):
            world.now = now
            await world.repair()
        assert list(world.gaps) == [(21, 25)]
        assert not world.reasons.absent("BTCUSDT")

    asyncio.run(run())


class Store:
    """A gap store in memory that can be unreachable."""

    def __init__(self) -> None:
        self.unreachable = False
        self.gaps: list[MergedGap] = []
        self.refused: list[RefusedGap] = []
        self.absences: list[VerifiedAbsence] = []
        self.reasons: list[GapReason] = []

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        return self.gaps

    def read_refused(self, symbols: Sequence[str]) -> list[RefusedGap]:
        if self.unreachable:
            raise psycopg.OperationalError("unreachable")
        return self.refused

    def record(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        if self.unreachable:
            raise psycopg.OperationalError("unreachable")
        self.absences += absences
        self.reasons += reasons


def test_what_is_verified_is_kept_until_the_database_has_it_and_is_not_reopened_meanwhile() -> None:
    async def run() -> None:
        store, reasons = Store(), GapReasons()
        ids = {"BTCUSDT": TradeIds()}
        check = GapCheck(store, ids, 60, reasons=reasons, now=lambda: 0.0)
        absence = VerifiedAbsence("BTCUSDT", IdRange(5, 6), "historicalTrades", "why")
        reasons.verify_absent(absence)
        reasons.explain("BTCUSDT", IdRange(8, 9), "not served")
        store.unreachable, store.gaps = True, [MergedGap("BTCUSDT", IdRange(5, 9))]
        with pytest.raises(psycopg.OperationalError):
            await check.record()
        await check.check()
        assert list(ids["BTCUSDT"].gaps) == [(7, 9)]
        store.unreachable = False
        await check.record()
        await check.record()
        assert store.absences == [absence]
        assert store.reasons == [GapReason("BTCUSDT", IdRange(8, 9), "not served")]

    asyncio.run(run())


def test_without_a_database_nothing_piles_up() -> None:
    reasons = GapReasons(for_database=False)
    reasons.verify_absent(VerifiedAbsence("BTCUSDT", IdRange(5, 6), "historicalTrades", "why"))
    reasons.explain("BTCUSDT", IdRange(8, 9), "not served")
    assert (reasons.unrecorded_absences(), reasons.unrecorded_reasons()) == ([], [])
    assert list(reasons.absent("BTCUSDT")) == [(5, 6)]


class Zero(MemoryExchange):
    """Serves trade 3 with a quantity of zero."""

    async def historical_trades(self, symbol: str, from_id: int, limit: int = 1000) -> list[HistoricalTrade]:
        rows = await super().historical_trades(symbol, from_id, limit)
        return [HistoricalTrade(r.id, r.price, "0.0" if r.id == 3 else r.qty, r.time, True) for r in rows]


def test_a_refused_trade_is_dead_lettered_once_however_often_it_is_fetched() -> None:
    async def run() -> None:
        exchange = Zero(first=1, last=40)
        world, store = World(exchange), Store()
        check = GapCheck(store, world.ids, 60, reasons=world.reasons, now=lambda: world.now)
        world.ids["BTCUSDT"].observe(1, 1)
        world.ids["BTCUSDT"].observe(5, 5)
        store.gaps = [MergedGap("BTCUSDT", IdRange(3, 3), "refused: bad_quantity")]
        for now in range(0, 5 * 3600, 60):
            world.now = now
            await check.check()
            await world.repair()
            await check.record()
        assert list(world.gaps) == [(3, 3)]
        assert [reason for _, reason, _ in world.sink.rejected] == ["bad_quantity"]
        assert len(exchange.asked) == 1, "it is not fetched again at each retry"
        assert [(r.ids, r.text.split(";")[0]) for r in store.reasons] == [((3, 3), "refused: bad_quantity")]
        world.now += 6 * 3600
        await world.repair()
        assert len(exchange.asked) == 2
        assert len(world.sink.rejected) == 1, "fetched again, and dead-lettered only once"

        restarted = World(exchange)
        store.refused = [RefusedGap("BTCUSDT", IdRange(3, 3), store.reasons[0].text, age=600.0)]
        again = GapCheck(store, restarted.ids, 60, reasons=restarted.reasons, now=lambda: restarted.now)
        await again.resume()
        await again.check()
        assert list(restarted.gaps) == [(3, 3)]
        await restarted.repair()
        assert restarted.sink.rejected == []
        assert len(exchange.asked) == 2

    asyncio.run(run())


def test_an_unreachable_database_at_the_start_is_not_an_error() -> None:
    store = Store()
    store.unreachable = True
    asyncio.run(GapCheck(store, {"BTCUSDT": TradeIds()}, 60).resume())
