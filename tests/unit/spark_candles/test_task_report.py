"""What a task tells the driver."""

from collections import Counter

from crypto_analytics.spark_candles.task_report import Outcome, following
from crypto_analytics.store.merge import Merged
from crypto_analytics.streaming.merger import Work


def outcome(next_offsets: dict[int, int]) -> Outcome:
    work = Work(5, Merged(3, 3, 1, [], [1_767_571_200_000_000]), Counter({"bad_id": 1}))
    return Outcome.of(work, next_offsets)


def test_the_counts_survive_the_way_to_the_driver() -> None:
    sent = outcome({2: 17})
    assert Outcome.from_json(sent.to_json()) == sent
    assert sent.work() == Work(5, Merged(3, 3, 1, [], [1_767_571_200_000_000]), Counter({"bad_id": 1}))


def test_a_batch_ends_behind_all_of_its_pieces() -> None:
    assert following([outcome({0: 9, 1: 4}), outcome({0: 12}), outcome({0: 10})]) == {0: 12, 1: 4}
    assert following([]) == {}
