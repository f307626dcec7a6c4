"""Keep the exchange's request weight limit, whatever happens to the wall clock."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.rate_limits import WeightBudget


class FakeTime:
    """A monotonic and a wall clock; ``set_wall`` adjusts only the second."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.monotonic = 7.0
        self.slept: list[float] = []

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passes(seconds)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(wall=60.0 * 1000 + 15)  # a quarter past a minute


def budget_of(time: FakeTime, limit: int) -> WeightBudget:
    return WeightBudget(limit, wall=lambda: time.wall, monotonic=lambda: time.monotonic, sleep=time.sleep)


def test_a_request_beyond_the_budget_waits_for_the_next_minute(time: FakeTime) -> None:
    budget = budget_of(time, 100)

    async def spend() -> None:
        for _ in range(4):
            await budget.acquire(25)
        assert time.slept == []
        await budget.acquire(25)

    asyncio.run(spend())
    assert time.slept == [45]


def test_weight_used_by_other_clients_of_the_address_counts(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(5990)
    assert budget.seconds_until(10) == 0
    assert budget.seconds_until(11) == 45


def test_a_late_response_does_not_lower_the_count(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(5990)
    budget.report(100)
    assert budget.seconds_until(25) == 45


def test_the_count_starts_anew_each_minute(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(6000)
    time.passes(45)
    assert budget.seconds_until(80) == 0


def test_a_pause_delays_all_requests_and_the_longest_applies(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.pause(30)
    budget.pause(10)
    assert budget.seconds_until(1) == 30
    asyncio.run(budget.acquire(1))
    assert time.slept == [30]


clock_changes = st.sampled_from([-86_400.0, -3600.0, -90.0, -61.0, -60.0, -20.0, 0.5, 20.0, 60.0, 90.0, 3600.0, 1e9])


@given(clock_changes, st.floats(0, 29))
def test_the_length_of_a_pause_does_not_depend_on_the_wall_clock(change: float, after: float) -> None:
    time = FakeTime(wall=1_700_000_000.0)
    budget = budget_of(time, 6000)
    budget.pause(30)
    time.passes(after)
    time.wall += change
    assert budget.seconds_until(1) == pytest.approx(30 - after)


def test_a_clock_adjusted_during_a_pause_changes_nothing(time: FakeTime) -> None:
    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        time.wall -= 3600

    budget = WeightBudget(6000, wall=lambda: time.wall, monotonic=lambda: time.monotonic, sleep=sleep)
    budget.pause(30)
    asyncio.run(budget.acquire(1))
    assert time.slept == [30]


@given(st.lists(st.tuples(st.floats(0, 70), clock_changes), max_size=20))
def test_an_adjusted_clock_frees_weight_neither_early_nor_more_than_a_minute_late(
    changes: list[tuple[float, float]],
) -> None:
    time = FakeTime(wall=1_700_000_000.0)
    budget = budget_of(time, 100)
    for seconds, change in changes:
        asyncio.run(budget.acquire(100))
        full_until = time.monotonic + 60 - time.wall % 60  # by the clock as it stood then
        time.passes(seconds)
        time.wall += change
        wait = budget.seconds_until(100)
        assert wait <= 61
        if abs(change) > 1:
            assert time.monotonic + wait >= full_until - 1


def test_every_minute_of_a_steady_clock_has_its_budget(time: FakeTime) -> None:
    budget = budget_of(time, 100)

    async def spend() -> None:
        for _ in range(5):
            await budget.acquire(100)

    asyncio.run(spend())
    assert time.slept == [45, 60, 60, 60]


def test_a_limit_below_the_heaviest_request_is_rejected() -> None:
    with pytest.raises(ValueError, match="79"):
        WeightBudget(79)
