"""The backlog, compared with counting the records of a simulated log."""

import math
from random import Random

import pytest

from crypto_analytics.core.minutes import SECOND
from crypto_analytics.streaming.backlog import Backlog


class Log:
    """A topic whose records are lists, and a group that has merged some of them: the oracle."""

    def __init__(self, partitions: int) -> None:
        self.records: list[list[int]] = [[] for _ in range(partitions)]  # offsets that are there
        self.ends = [0] * partitions
        self.following = [0] * partitions

    def produce(self, number: int, count: int) -> None:
        self.records[number] += range(self.ends[number], self.ends[number] + count)
        self.ends[number] += count

    def truncate(self, number: int, count: int) -> None:
        del self.records[number][:count]

    def held(self, number: int) -> tuple[int, int]:
        low = self.records[number][0] if self.records[number] else self.ends[number]
        return low, self.ends[number]

    def waiting(self, numbers: set[int]) -> int:
        return sum(offset >= self.following[number] for number in numbers for offset in self.records[number])


def ask(backlog: Backlog, log: Log, committed: dict[int, int]) -> None:
    partitions = backlog.partitions()
    backlog.update(0.0, partitions, {number: log.held(number) for number in partitions}, committed)


@pytest.mark.parametrize("seed", range(20))
def test_the_lag_equals_the_unmerged_records_of_the_log_at_each_moment(seed: int) -> None:
    random, log, backlog = Random(seed), Log(4), Backlog()
    assigned: set[int] = set()
    for _ in range(300):
        number = random.randrange(4)
        match random.choice(["produce", "produce", "truncate", "merge", "rebalance"]):
            case "produce":
                log.produce(number, random.randrange(1, 50))
            case "truncate":
                log.truncate(number, random.randrange(20))
            case "merge" if number in assigned:
                start = max(log.following[number], log.held(number)[0])
                log.following[number] = random.randint(start, log.ends[number])
                backlog.merged({number: log.following[number]})
            case "rebalance":
                backlog.revoke(assigned)
                assert math.isnan(backlog.trades())
                assigned = {one for one in range(4) if random.random() < 0.6}
                backlog.assign(assigned)
                assert math.isnan(backlog.trades()) is bool(assigned)
        # The client library returns -1001 for a partition without a committed offset.
        ask(backlog, log, {one: log.following[one] or -1001 for one in assigned})
        if assigned:
            assert backlog.trades() == log.waiting(assigned)


def test_the_lag_is_nan_before_an_assignment_and_before_kafkas_answer() -> None:
    backlog = Backlog()
    assert math.isnan(backlog.trades())
    assert math.isnan(backlog.seconds(0))
    assert math.isnan(backlog.end_offsets_age())
    backlog.assign([])
    assert (backlog.trades(), backlog.seconds(0)) == (0, 0)  # a member of the group without a partition
    backlog.assign([0])
    assert math.isnan(backlog.trades())


@pytest.mark.parametrize(
    ("committed", "low", "end", "waiting"),
    [(17, 0, 40, 23), (40, 0, 40, 0), (-1001, 0, 40, 40), (-1001, 0, 0, 0), (17, 20, 40, 20), (41, 5, 40, 35)],
    ids=["committed", "all merged", "nothing committed", "empty", "retention was faster", "another topic"],
)
def test_the_lag_before_the_first_merge(committed: int, low: int, end: int, waiting: int) -> None:
    backlog = Backlog()
    backlog.assign([0])
    backlog.update(0.0, backlog.partitions(), {0: (low, end)}, {0: committed})
    assert backlog.trades() == waiting


def test_an_answer_about_an_earlier_assignment_changes_nothing() -> None:
    backlog = Backlog()
    backlog.assign([0])
    before = backlog.partitions()
    backlog.revoke([0])
    backlog.assign([0])
    backlog.update(0.0, before, {0: (0, 10)}, {0: 5})
    assert math.isnan(backlog.trades())


def test_a_merged_offset_replaces_an_older_committed_one() -> None:
    backlog = Backlog()
    backlog.assign([0])
    partitions = backlog.partitions()
    backlog.merged({0: 9, 1: 50})
    backlog.update(0.0, partitions, {0: (0, 10)}, {0: 5})
    assert backlog.trades() == 1


def test_the_age_grows_without_merges_and_is_zero_without_a_backlog() -> None:
    now = 100.0
    backlog = Backlog(lambda: now)
    backlog.assign([0, 1])
    partitions = backlog.partitions()
    backlog.update(100.0, partitions, {0: (0, 10), 1: (0, 3)}, {0: 5, 1: 3})
    assert math.isnan(backlog.seconds(0))  # no trade is read yet
    backlog.set_head(partitions[0], 5, 60 * SECOND, 61 * SECOND)
    assert [backlog.seconds(at * SECOND) for at in (61, 70, 160)] == [1, 10, 100]
    backlog.merged({0: 8})
    assert backlog.seconds(200 * SECOND) == 1  # what it was: the trade at 8 is not read yet
    backlog.set_head(partitions[0], 8, 90 * SECOND, 92 * SECOND)
    assert backlog.seconds(200 * SECOND) == 110
    backlog.merged({0: 10})
    assert backlog.seconds(300 * SECOND) == 0
    now = 107.0
    assert backlog.end_offsets_age() == 7
