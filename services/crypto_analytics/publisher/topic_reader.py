"""Read the candles topic from its beginning to its end."""

import time
from collections.abc import Callable, Collection

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from crypto_analytics.runtime import kafka

_REQUEST_SECONDS = 5.0
_POLL_SECONDS = 0.1  # the last call waits for it, as no more records arrive
_POLL_RECORDS = 1_000
_PROGRESS_SECONDS = 5.0

AddMessage = Callable[[int, bytes, bytes | None], None]
"""Called with partition, key and value."""


class TopicReader:
    """Reads partitions that it assigns to itself, with a consumer that reports the ends of partitions.

    ``check`` is called at least every few seconds; the exceptions that it raises end a call. Methods raise
    KafkaException where the topic is missing, or the broker is unreachable or refuses.
    """

    def __init__(
        self, consumer: Consumer, topic: str, check: Callable[[], None], log: structlog.stdlib.BoundLogger
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._check = check
        self._log = log

    def partition_count(self) -> int:
        """Return the number of partitions of the topic."""
        try:
            about = self._consumer.list_topics(self._topic, timeout=_REQUEST_SECONDS).topics[self._topic]
        except KafkaException:
            self._consumer.poll(0)  # raises the refused login; list_topics only times out
            raise
        if about.error is not None:
            raise KafkaException(about.error)
        return len(about.partitions)

    def end(self, number: int) -> int:
        """Return the offset after the last message of a partition."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), _REQUEST_SECONDS)
        return int(end)

    def read(self, partitions: Collection[int], add: AddMessage) -> dict[int, int]:
        """Call ``add`` with each message of ``partitions``, and return the end offset of each."""
        ends: dict[int, int] = {}
        records, expected = 0, sum(self.end(number) for number in partitions)
        next_report = time.monotonic() + _PROGRESS_SECONDS
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in partitions])
        try:
            while len(ends) < len(partitions):
                self._check()
                for message in kafka.consume(self._consumer, _POLL_RECORDS, _POLL_SECONDS):
                    records += self._take(message, add, ends)
                if time.monotonic() >= next_report:
                    next_report = time.monotonic() + _PROGRESS_SECONDS
                    self._log.info("topic_read_continues", records=records, at_most=expected)
        finally:
            self._consumer.unassign()
        return ends

    @staticmethod
    def _take(message: Message, add: AddMessage, ends: dict[int, int]) -> int:
        """Handle a message or the end of a partition; return the number of messages."""
        error, number = message.error(), message.partition()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        assert number is not None
        if error is None:
            add(number, message.key() or b"", message.value())
            return 1
        offset = message.offset()
        assert offset is not None
        ends[number] = offset
        return 0
