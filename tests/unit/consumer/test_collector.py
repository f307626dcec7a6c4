"""Collect records until a batch is due by age or size."""

from crypto_analytics.consumer.collector import BatchCollector


def test_a_batch_is_due_by_age_of_its_oldest_record() -> None:
    collector = BatchCollector[str](seconds=1.0, trades=100, largest=1000)
    assert not collector.is_due(1e9)
    collector.add("a", 3, now=10.0)
    collector.add("b", 3, now=10.9)
    assert not collector.is_due(10.99)
    assert collector.is_due(11.0)


def test_a_batch_is_due_by_size_and_may_grow_beyond_it() -> None:
    collector = BatchCollector[str](seconds=60, trades=3, largest=7)
    collector.add("a", 3, now=0)
    assert collector.is_due(0)
    assert (len(collector), collector.room()) == (3, 4)
    collector.add("b", 2, now=0)
    assert collector.take() == ["a", "b"]
    assert (len(collector), collector.room(), collector.is_due(100)) == (0, 7, False)


def test_the_wait_ends_when_the_batch_is_due() -> None:
    collector = BatchCollector[str](seconds=1.0, trades=100, largest=1000)
    assert collector.wait(0, longest=0.1) == 0.1
    collector.add("a", 1, now=0)
    assert abs(collector.wait(0.95, longest=0.1) - 0.05) < 1e-9
    assert collector.wait(2.0, longest=0.1) == 0
    collector.add("b", 99, now=0.5)
    assert collector.wait(0.5, longest=0.1) == 0


def test_the_largest_batch_is_never_below_the_usual_one() -> None:
    assert BatchCollector[str](seconds=1, trades=50, largest=10).room() == 50
