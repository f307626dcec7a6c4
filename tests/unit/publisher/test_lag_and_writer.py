"""The publisher's lag, and what its writer makes of Kafka's acknowledgements."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from crypto_analytics.publisher.lag import PublishLag
from crypto_analytics.publisher.topic_writer import TopicReset, TopicWriter


def test_the_lag_is_the_age_of_the_oldest_change_or_of_the_interruption() -> None:
    now = [1_000.0]
    lag = PublishLag(lambda: now[0])
    now[0] = 1_003.0
    assert lag.seconds() == 3.0  # nothing is known before the first session
    lag.set(990.0)
    assert lag.seconds() == 13.0
    lag.interrupted()
    assert lag.seconds() == 13.0
    lag.clear()
    assert lag.seconds() == 0.0
    lag.interrupted()
    now[0] = 1_010.0
    lag.interrupted()
    assert lag.seconds() == 7.0
    lag.set(2_000.0)  # the database's clock is ahead
    assert lag.seconds() == 0.0


class Acknowledged:
    """An acknowledged message."""

    def __init__(self, number: int, offset: int) -> None:
        self._place = number, offset

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]


class StubProducer:
    """Acknowledges each message in ``flush`` with the next of ``results``: an offset, or an error."""

    def __init__(self, *results: int | KafkaError) -> None:
        self._results = list(results)
        self._queue: list[tuple[int, Callable[..., None]]] = []

    def produce(self, topic: str, value: Any, key: bytes, *, partition: int, on_delivery: Callable[..., None]) -> None:
        self._queue.append((partition, on_delivery))

    def flush(self, seconds: float) -> int:
        while self._queue and self._results:
            (number, on_delivery), result = self._queue.pop(0), self._results.pop(0)
            if isinstance(result, KafkaError):
                on_delivery(result, None)
            else:
                on_delivery(None, Acknowledged(number, result))
        return len(self._queue)


def writer(*results: int | KafkaError) -> TopicWriter:
    stub: Any = StubProducer(*results)
    return TopicWriter(stub, "candles")


def test_a_flush_is_done_when_all_are_acknowledged() -> None:
    found = writer(7, 9)
    found.start_after({0: 7})
    for _ in range(3):
        found.send(0, b"key", b"value")
    assert not found.flush(0)
    found.check_end(0, 10)


def test_a_refused_message_fails_the_flush() -> None:
    found = writer(7, KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), 9)
    for _ in range(3):
        found.send(0, b"key", None)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        found.flush(0)


def test_an_offset_that_was_used_before_means_another_topic() -> None:
    found = writer(0)
    found.start_after({0: 1, 1: 5})
    found.send(0, b"key", b"value")
    with pytest.raises(TopicReset, match=r"candles\[0\] ended at offset 1, and ends at 0 now"):
        found.flush(0)


def test_an_end_below_the_known_one_means_another_topic() -> None:
    found = writer()
    found.start_after({0: 1, 1: 5})
    found.check_end(1, 5)
    with pytest.raises(TopicReset):
        found.check_end(1, 4)
