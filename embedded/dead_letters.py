"""What is in the dead-letter topic: how many records for which reason, and who put them there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Message, TopicPartition

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings

_TIMEOUT = 10.0
_AT_ONCE = 1000


@dataclass
class DeadLetters:
    """Records by reason, and those that the consumer rejected: each counted once however often it was read."""

    reasons: Counter[str] = field(default_factory=Counter)
    origins: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        """All records."""
        return self.reasons.total()


def read(settings: KafkaSettings) -> DeadLetters:
    """Return what the dead-letter topic holds now.

    Raises:
        KafkaException: the broker is away.
    """
    consumer = Consumer(client_config(settings) | {"group.id": "report", "enable.auto.commit": False})
    found, topic = DeadLetters(), settings.KAFKA_TOPIC_DLQ
    try:
        for number in consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions:
            _read_partition(consumer, topic, number, found)
    finally:
        consumer.close()
    return found


def _read_partition(consumer: Consumer, topic: str, number: int, found: DeadLetters) -> None:
    position, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_TIMEOUT)
    consumer.assign([TopicPartition(topic, number, position)])
    while position < end:
        for message in consumer.consume(_AT_ONCE, _TIMEOUT):
            if message.error() is None:
                _count(message, found)
                position = (message.offset() or 0) + 1


def _count(message: Message, found: DeadLetters) -> None:
    pairs: Sequence[tuple[str, bytes]] = message.headers() or []
    headers = {name: value.decode(errors="replace") for name, value in pairs}
    found.reasons[headers.get("reason", "unknown")] += 1
    if "origin" in headers:
        found.origins.add(headers["origin"])
