"""A read of the dead letters ends at their end, at a stop, or when the broker delivers no more."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from crypto_analytics.runtime.settings import KafkaSettings
from ops.common.errors import Problem
from ops.local import dead_letters
from ops.local.supervisor import Interrupted


class Letter:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self._offset

    def headers(self) -> list[tuple[str, bytes]]:
        return [("reason", b"bad price"), ("origin", b"0:%d" % self._offset)]


class Partition:
    """Stands in for the consumer of a topic with one partition: it reports ``end`` records and delivers ``there``."""

    def __init__(self, end: int, readable: int, pass_time: Callable[[float], None]) -> None:
        self._end, self._readable, self._pass_time = end, readable, pass_time
        self._position = 0
        self.closed = False

    def list_topics(self, topic: str, timeout: float) -> "Partition":
        self.topics = {topic: self}
        self.partitions = [0]
        return self

    def get_watermark_offsets(self, part: object, timeout: float) -> tuple[int, int]:
        return 0, self._end

    def assign(self, parts: object) -> None:
        return

    def consume(self, count: int, timeout: float) -> list[Letter]:
        self._pass_time(timeout)
        if self._position == self._readable:
            return []
        self._position += 1
        return [Letter(self._position - 1)]

    def close(self) -> None:
        self.closed = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        assert seconds <= 1, "a stop waits too long for the next look at it"
        self.now += seconds
        assert self.now < 1000, "it reads for ever"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def consumer(monkeypatch: pytest.MonkeyPatch, clock: Clock, *, end: int, readable: int) -> Partition:
    partition = Partition(end, readable, clock.pass_time)
    monkeypatch.setattr(dead_letters, "Consumer", lambda config: partition)
    return partition


def test_all_dead_letters_are_counted(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    consumer(monkeypatch, clock, end=500, readable=500)
    found = dead_letters.read(KafkaSettings(), still_seconds=5, clock=clock)
    assert (found.total, dict(found.reasons), len(found.origins)) == (500, {"bad price": 500}, 500)


def test_a_record_that_is_never_delivered_fails_the_read(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    partition = consumer(monkeypatch, clock, end=5, readable=3)
    with pytest.raises(Problem, match=r"cannot be read: partition 0 ends at 5, read to 3, and nothing came for 30 s"):
        dead_letters.read(KafkaSettings(), clock=clock)
    assert 30 < clock.now < 35
    assert partition.closed


def test_a_stop_ends_the_read_at_once(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    partition = consumer(monkeypatch, clock, end=5, readable=3)
    with pytest.raises(Interrupted):
        dead_letters.read(KafkaSettings(), is_stopped=lambda: clock.now >= 2, clock=clock)
    assert clock.now < 3
    assert partition.closed


def test_an_unreachable_broker_fails_the_read(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    partition = consumer(monkeypatch, clock, end=0, readable=0)

    def fail(topic: str, timeout: float) -> Partition:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    partition.list_topics = fail  # type: ignore[method-assign]
    with pytest.raises(Problem, match="the dead letters cannot be read: "):
        dead_letters.read(KafkaSettings(), clock=clock)
    assert partition.closed
