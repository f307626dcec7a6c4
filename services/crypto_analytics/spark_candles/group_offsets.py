"""Read and commit the offsets of the consumer group, which both variants of the consumer share.

So one variant can continue where the other one stopped, and one lag monitor serves both. Spark's checkpoint is not
needed to continue: it only has the state of a running query.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.spark_candles.source import start_offset
from crypto_analytics.streaming.offset_commits import OffsetCommitter
from crypto_analytics.streaming.settings import MergingSettings

_REQUEST_SECONDS = 3.0  # a blocked request delays a stop by as much
_CLOSE_SECONDS = 1.0
# While consumers of the other variant are members of the group, only they can commit; they merge the same records.
_OTHER_VARIANT_ACTIVE = frozenset({KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION})


class GroupOffsets:
    """The group's offsets in the trades topic: read at the start, committed after each batch."""

    def __init__(self, settings: MergingSettings, log: structlog.stdlib.BoundLogger) -> None:
        self._topic = settings.KAFKA_TOPIC_TRADES
        self._commits = OffsetCommitter(self._topic, log, ignored_errors=_OTHER_VARIANT_ACTIVE)
        self._client = kafka.consumer(settings, settings.KAFKA_CONSUMER_GROUP, on_commit=self._commits.on_commit)
        self._log = log

    def start(self, stop: Event, beat: Callable[[], None]) -> dict[int, int]:
        """Return the offset to start at in each partition; empty if ``stop`` is set before Kafka answers.

        Waits for Kafka and the topic. ``beat`` is called before each attempt, which keeps the liveness probe green.

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
                self._log.warning("offset_query_failed", error=str(error), retry_in_seconds=round(delay, 1))
            if stop.wait(delay):
                break
        return {}

    def _read(self) -> dict[int, int]:
        self._client.poll(0)  # raises where the login is refused
        metadata = self._client.list_topics(self._topic, _REQUEST_SECONDS).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        wanted = [TopicPartition(self._topic, number) for number in metadata.partitions]
        committed = self._client.committed(wanted, _REQUEST_SECONDS)
        return {part.partition: start_offset(part.offset, *self._watermarks(part)) for part in committed}

    def _watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        at = TopicPartition(partition.topic, partition.partition)
        low, high = self._client.get_watermark_offsets(at, _REQUEST_SECONDS)
        return low, high

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the offset of the next record of each partition, asynchronously."""
        self._commits.send(self._client, offsets)

    def serve(self) -> None:
        """Check the results of earlier commits and retry failed ones; call it regularly.

        Raises:
            KafkaException: Kafka refuses this user.
        """
        self._client.poll(0)
        self._commits.serve(self._client)

    def check(self) -> None:
        """Raise KafkaException if Kafka has refused a commit for good."""
        self._commits.check()

    def is_overdue(self) -> bool:
        """Return whether Kafka has not confirmed a commit for half a minute."""
        return self._commits.is_overdue()

    def close(self) -> None:
        """Wait a second for the result of the last commit, and close the client.

        With an unreachable broker the client would wait for more than the ten seconds that a stop may take. A lost
        commit is harmless: records that are read again are recognised by their trade ids.
        """
        closing = Thread(target=self._client.close, name="close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            self._log.warning("commit_unconfirmed", error="Kafka does not answer", next="nothing: ids are merged once")
