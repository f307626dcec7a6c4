"""A play is complete at once when all is merged, and after a quiet time while trades are missing."""

import pytest

from ops.common.errors import Problem
from ops.local.completion import CompletionCheck
from ops.local.trade_counts import CounterTotals, TradeCounts


def counts(*, merged: int = 0, lag: int = 0, missing: int = 0, is_streamed: bool = True) -> TradeCounts:
    return TradeCounts(sent=10, produced=10, lag=lag, merged=merged, missing=missing, is_streamed=is_streamed)


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_play_is_complete_when_all_trades_are_merged() -> None:
    assert CompletionCheck(clock=FakeClock()).is_complete(counts(merged=10))


@pytest.mark.parametrize(
    "unfinished", [counts(merged=9, missing=1), counts(merged=10, lag=1), counts(merged=10, is_streamed=False)]
)
def test_a_play_in_progress_is_not_complete(unfinished: TradeCounts) -> None:
    assert not CompletionCheck(clock=FakeClock()).is_complete(unfinished)


def test_a_play_with_missing_trades_is_complete_after_a_quiet_time() -> None:
    clock = FakeClock()
    check = CompletionCheck(quiet_seconds=10, clock=clock)
    assert not check.is_complete(counts(merged=7, missing=3))
    clock.now = 8
    assert not check.is_complete(counts(merged=8, missing=2))  # a count changed: the quiet time begins again
    clock.now = 17
    assert not check.is_complete(counts(merged=8, missing=2))
    clock.now = 18.5
    assert check.is_complete(counts(merged=8, missing=2))


def test_a_stuck_play_fails() -> None:
    clock = FakeClock()
    check = CompletionCheck(stuck_seconds=60, clock=clock)
    assert not check.is_complete(counts(merged=7, lag=3))
    clock.now = 61
    with pytest.raises(Problem, match="7 trades are merged, and nothing changed for 61 s"):
        check.is_complete(counts(merged=7, lag=3))


def test_a_server_that_stays_unreachable_fails_the_play() -> None:
    clock = FakeClock()
    check = CompletionCheck(stuck_seconds=60, clock=clock)
    clock.now = 61
    with pytest.raises(Problem, match="does not answer"):
        check.is_complete(None)


def test_counters_add_up_over_a_restart_of_their_service() -> None:
    totals = CounterTotals()
    for value in (0.0, 3.0, 5.0, 0.0, 2.0):  # it died after 5 and began again
        totals.add({"gaps_found_total": value})
    assert totals.of("gaps_found_total") == 7
    assert totals.of("never_seen_total") == 0
