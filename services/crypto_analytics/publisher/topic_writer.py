"""Write messages to the candles topic, and notice when the topic was emptied or deleted."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer


class TopicReset(Exception):
    """The topic ends before a message that it had: it was deleted and created again, or the broker lost its data."""


class TopicWriter:
    """Writes with an idempotent producer that retries for ever, so that messages of a partition keep their order."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._failure: KafkaException | TopicReset | None = None
        self._ends: dict[int, int] = {}

    def start_after(self, ends: Mapping[int, int]) -> None:
        """Set the known end offset of each partition."""
        self._ends = dict(ends)

    def check_end(self, number: int, end: int) -> None:
        """Compare the known end of a partition with the offset ``end`` of its end now. Raises TopicReset."""
        if end < self._ends.get(number, 0):
            raise TopicReset(f"{self._topic}[{number}] ended at offset {self._ends[number]}, and ends at {end} now")

    def send(self, number: int, key: bytes, value: bytes | None) -> None:
        """Queue a message for partition ``number``; without a value it is a tombstone.

        Raises:
            BufferError: more messages are queued than a batch has.
        """
        self._producer.produce(self._topic, value, key, partition=number, on_delivery=self._on_delivery)

    def flush(self, seconds: float) -> bool:
        """Wait up to ``seconds``; return whether all messages are acknowledged.

        Raises:
            KafkaException: Kafka refuses this client, or refused a message for good.
            TopicReset: a message has an offset at which the topic had another one.
        """
        left: int = self._producer.flush(seconds)
        if self._failure is not None:
            raise self._failure
        return left == 0

    def close(self) -> None:
        """Drop the messages that are not acknowledged."""
        self._producer.purge()
        self._producer.poll(0)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = self._failure or KafkaException(error)
            return
        number, offset = message.partition(), message.offset()
        assert number is not None
        assert offset is not None
        try:
            self.check_end(number, offset)
        except TopicReset as reset:
            self._failure = self._failure or reset
        self._ends[number] = offset + 1
