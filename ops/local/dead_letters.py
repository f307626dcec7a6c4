"""Count the records of the dead-letter topic by reason and origin."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings
from ops.common.errors import Problem
from ops.local.supervisor import Interrupted

_TIMEOUT = 10.0
_AT_ONCE = 1000
_POLL_SECONDS = 0.2  # a stop is noticed within this time
_FIX = "see the log of kafka, then run it again"
STILL_SECONDS = 30.0  # without a further record before the end of a partition


@dataclass
class DeadLetters:
    """Records by reason, and the origins of those that the consumer rejected; a record read twice counts once."""

    reasons: Counter[str] = field(default_factory=Counter)
    origins: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        """All records."""
        return self.reasons.total()


def read(
    settings: KafkaSettings,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    still_seconds: float = STILL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> DeadLetters:
    """Return the present content of the dead-letter topic.

    Raises:
        Problem: the broker does not answer, or delivers no record before the end of a partition for ``still_seconds``.
        Interrupted: ``is_stopped`` before the end.
    """
    consumer = Consumer(client_config(settings) | {"group.id": "report", "enable.auto.commit": False})
    found, topic = DeadLetters(), settings.KAFKA_TOPIC_DLQ
    try:
        for number in consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions:
            _read_partition(
                consumer, TopicPartition(topic, number), found, _StallCheck(is_stopped, still_seconds, clock)
            )
    except KafkaException as error:
        raise Problem("the dead letters cannot be read", str(error), _FIX) from error
    finally:
        consumer.close()
    return found


def _read_partition(consumer: Consumer, part: TopicPartition, found: DeadLetters, stall: "_StallCheck") -> None:
    position, end = consumer.get_watermark_offsets(part, timeout=_TIMEOUT)
    consumer.assign([TopicPartition(part.topic, part.partition, position)])
    while position < end:
        before = position
        for message in consumer.consume(_AT_ONCE, _POLL_SECONDS):
            if message.error() is None:
                _count(message, found)
                position = (message.offset() or 0) + 1
        stall.check(advanced=position > before, missing=f"partition {part.partition} ends at {end}, read to {position}")


class _StallCheck:
    """Raises once a read is stopped, or has delivered nothing for too long."""

    def __init__(self, is_stopped: Callable[[], bool], still_seconds: float, clock: Callable[[], float]) -> None:
        self._is_stopped = is_stopped
        self._still = still_seconds
        self._clock = clock
        self._moved_at = clock()

    def check(self, *, advanced: bool, missing: str) -> None:
        """Note whether the read advanced. Raises Interrupted or Problem."""
        if self._is_stopped():
            raise Interrupted
        if advanced:
            self._moved_at = self._clock()
        elif self._clock() - self._moved_at > self._still:
            cause = f"{missing}, and nothing came for {self._still:.0f} s"
            raise Problem("the dead letters cannot be read", cause, _FIX)


def _count(message: Message, found: DeadLetters) -> None:
    pairs: Sequence[tuple[str, bytes]] = message.headers() or []
    headers = {name: value.decode(errors="replace") for name, value in pairs}
    found.reasons[headers.get("reason", "unknown")] += 1
    if "origin" in headers:
        found.origins.add(headers["origin"])
