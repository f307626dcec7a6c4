"""Up to where trades are merged: the offsets that the consumer group has committed, whichever variant did it.

So the variants can take turns without reading anything twice, and what watches the group's lag serves both. Spark's own
checkpoint is not needed to go on; it only keeps a running query's books.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.spark_candles.source import beginning
from crypto_analytics.streaming.commits import Commits
from crypto_analytics.streaming.settings import MergingSettings

_CALL_SECONDS = 3.0  # a blocked call delays a stop by this much
_CLOSE_SECONDS = 1.0
# While consumers of the other variant are in the group, only they may commit; they are at the same work.
_NOT_OURS_NOW = frozenset({KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION})


class Position:
    """The group's offsets in the trades topic, read at the start and moved after each batch."""

    def __init__(self, settings: MergingSettings, log: structlog.stdlib.BoundLogger) -> None:
        self._topic = settings.KAFKA_TOPIC_TRADES
        self._commits = Commits(self._topic, log, unimportant=_NOT_OURS_NOW)
        self._client = kafka.consumer(settings, settings.KAFKA_CONSUMER_GROUP, on_commit=self._commits.on_commit)
        self._log = log

    def start(self, stop: Event, beat: Callable[[], None]) -> dict[int, int]:
        """Return where to begin in each partition; waits for Kafka and the topic. Empty only where ``stop`` is set.

        ``beat`` is called with each try: who waits for Kafka is alive.

        Raises:
            KafkaException: Kafka refuses this user.
        """
        for delay in backoff(1.0, 10.0):
            beat()
            try:
                return self._read()
            except KafkaException as error:
                if error.args[0].code() in kafka.REFUSED:
                    raise
                self._log.warning("kafka_not_ready", cause=str(error), retry_in_seconds=round(delay, 1))
            if stop.wait(delay):
                break
        return {}

    def _read(self) -> dict[int, int]:
        self._client.poll(0)  # where the login is refused, this call says so
        about = self._client.list_topics(self._topic, _CALL_SECONDS).topics[self._topic]
        if about.error is not None:
            raise KafkaException(about.error)
        wanted = [TopicPartition(self._topic, number) for number in about.partitions]
        committed = self._client.committed(wanted, _CALL_SECONDS)
        return {part.partition: beginning(part.offset, *self._held(part)) for part in committed}

    def _held(self, partition: TopicPartition) -> tuple[int, int]:
        at = TopicPartition(partition.topic, partition.partition)
        low, high = self._client.get_watermark_offsets(at, _CALL_SECONDS)
        return low, high

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the offsets at which the next batch begins in each partition, beside the work."""
        self._commits.send(self._client, offsets)

    def serve(self) -> None:
        """Look at the answers to earlier commits and send again those that failed; called every now and then.

        Raises:
            KafkaException: Kafka refuses this user.
        """
        self._client.poll(0)
        self._commits.serve(self._client)

    def check(self) -> None:
        """Raise KafkaException if Kafka has refused a commit for good."""
        self._commits.check()

    def is_overdue(self) -> bool:
        """Whether Kafka has confirmed no commit for half a minute."""
        return self._commits.is_overdue()

    def close(self) -> None:
        """Wait for the answer to the last commit, and close the client.

        The client would wait more than ten seconds for a broker that is away, which is as long as a service may take to
        stop. A commit without an answer costs nothing: what is read again is known by its ids.
        """
        closing = Thread(target=self._client.close, name="close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            self._log.warning("position_not_committed", error="Kafka does not answer", next="nothing: ids count once")
