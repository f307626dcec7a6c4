import asyncio

import pytest

from crypto_analytics.binance.weights import WeightBudget


class FakeTime:
    def __init__(self, now: float = 1_000_020.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(now=60.0 * 1000 + 15)  # a quarter past a minute


def budget_of(time: FakeTime, limit: int) -> WeightBudget:
    return WeightBudget(limit, now=time, sleep=time.sleep)


def test_the_budget_is_spent_without_waiting_and_then_the_next_minute_is_awaited(time: FakeTime) -> None:
    budget = budget_of(time, 100)

    async def spend() -> None:
        for _ in range(4):
            await budget.acquire(25)
        assert time.slept == []
        await budget.acquire(25)

    asyncio.run(spend())
    assert time.slept == [45]


def test_what_others_use_on_this_address_counts(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(5990)
    assert budget.seconds_until(10) == 0
    assert budget.seconds_until(11) == 45


def test_a_late_answer_does_not_lower_the_count(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(5990)
    budget.report(100)
    assert budget.seconds_until(25) == 45


def test_the_count_starts_anew_each_minute(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.report(6000)
    time.now += 45
    assert budget.seconds_until(80) == 0


def test_a_pause_holds_back_everybody_and_the_longest_wins(time: FakeTime) -> None:
    budget = budget_of(time, 6000)
    budget.pause(30)
    budget.pause(10)
    assert budget.seconds_until(1) == 30
    asyncio.run(budget.acquire(1))
    assert time.slept == [30]


def test_a_limit_that_the_heaviest_request_exceeds_is_refused() -> None:
    with pytest.raises(ValueError, match="79"):
        WeightBudget(79)
