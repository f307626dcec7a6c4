"""Monitor the consumer's lag with a thread and a Kafka client of their own.

The consumer's client learns the end offset of a partition with the records that it fetches. It fetches none while it is
paused or its buffer is full, which is when the lag matters. So this thread queries the offsets independently.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from crypto_analytics.binance.trade_decoder import BadTrade, Rules, decode_one
from crypto_analytics.core.minutes import to_microseconds
from crypto_analytics.runtime import kafka, metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.streaming.backlog import Backlog, PartitionBacklog
from crypto_analytics.streaming.settings import MergingSettings

_INTERVAL_SECONDS = 1.0
_REQUEST_SECONDS = 2.0
_HEAD_SECONDS = 1.0
_MOVING_HEAD_SECONDS = 5.0  # the next record changes with each batch: read it less often while batches are merged
_JOIN_SECONDS = 1.0
_CLIENT: Mapping[str, str | int] = {
    "queued.min.messages": 1,
    "fetch.message.max.bytes": 4096,  # Kafka returns at least one batch of records, however large
    "log_level": 0,  # the client that reads the trades logs the same errors
}


class LagMonitor:
    """Queries the offsets of a :class:`Backlog`'s partitions once a second, and publishes the lag as metrics.

    With ``whole_topic`` the backlog covers all partitions of the topic, including those that are added later.
    """

    def __init__(
        self,
        client: Consumer,
        topic: str,
        backlog: Backlog,
        rules: Callable[[], Rules],
        log: structlog.stdlib.BoundLogger,
        *,
        whole_topic: bool = False,
    ) -> None:
        self._client = client
        self._topic = topic
        self._backlog = backlog
        self._rules = rules
        self._log = log
        self._whole_topic = whole_topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._last_error = ""
        self._last_firsts: dict[int, int | None] = {}
        self._heads_read_at = -math.inf

    def __enter__(self) -> Self:
        metrics.LAG_TRADES.set_function(self._backlog.trades)
        metrics.LAG_SECONDS.set_function(lambda: self._backlog.seconds(wall_clock()))
        metrics.END_OFFSETS_AGE.set_function(self._backlog.end_offsets_age)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)  # a stop does not wait for a request to an unreachable broker

    def _run(self) -> None:
        log = self._log
        while not self._stop.wait(_INTERVAL_SECONDS):
            try:
                self.query()
            except KafkaException as error:
                self._log_failure(error.args[0].str())
            except Exception:  # the age of the end offsets shows that the lag is outdated
                log.exception("lag_query_crashed", next="report this error; trades are merged meanwhile")
            else:
                self._log_failure("")

    def _log_failure(self, error: str) -> None:
        if error and error != self._last_error:
            self._log.warning("lag_query_failed", error=error, next="nothing: it is retried every second")
        self._last_error = error

    def query(self) -> None:
        """Query the offsets once.

        Raises:
            KafkaException: Kafka does not answer in time, or refuses.
        """
        self._client.poll(0)  # raises where the login is refused
        asked_at = time.monotonic()
        if self._whole_topic:
            self._backlog.assign(self._partitions_of_topic())
        partitions = self._backlog.partitions()
        if not partitions:
            return
        committed = self._committed([number for number, known in partitions.items() if known.next_offset is None])
        watermarks = {number: self._watermarks(number) for number in partitions}
        self._backlog.update(asked_at, partitions, watermarks, committed)
        self._read_heads(partitions)

    def _partitions_of_topic(self) -> Iterable[int]:
        metadata = self._client.list_topics(self._topic, _REQUEST_SECONDS).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return list(metadata.partitions)

    def _committed(self, numbers: Iterable[int]) -> dict[int, int]:
        wanted = [TopicPartition(self._topic, number) for number in numbers]
        found = self._client.committed(wanted, _REQUEST_SECONDS) if wanted else []
        for part in found:
            if part.error is not None:
                raise KafkaException(part.error)
        return {part.partition: part.offset for part in found}

    def _watermarks(self, number: int) -> tuple[int, int]:
        low, end = self._client.get_watermark_offsets(TopicPartition(self._topic, number), _REQUEST_SECONDS)
        return low, end

    def _read_heads(self, partitions: Mapping[int, PartitionBacklog]) -> None:
        """Read the next record to merge of each partition that has one, unless it was read before."""
        firsts = {number: partition.first() for number, partition in partitions.items() if partition.waiting()}
        is_due = time.monotonic() - self._heads_read_at >= _MOVING_HEAD_SECONDS
        wanted: dict[int, int] = {}
        for number, first in firsts.items():
            known = partitions[number].head_offset
            is_unchanged = first == self._last_firsts.get(number)
            if first is not None and first != known and (known is None or is_unchanged or is_due):
                wanted[number] = first
        self._last_firsts = firsts
        if not wanted:
            return
        if is_due:
            self._heads_read_at = time.monotonic()
        self._client.assign([TopicPartition(self._topic, number, first) for number, first in wanted.items()])
        try:
            until = time.monotonic() + _HEAD_SECONDS
            while wanted and (left := until - time.monotonic()) > 0:
                for message in kafka.consume(self._client, len(wanted), left):
                    self._set_head(message, wanted, partitions)
        finally:
            self._client.unassign()

    def _set_head(self, message: Message, wanted: dict[int, int], partitions: Mapping[int, PartitionBacklog]) -> None:
        error, number = message.error(), message.partition()
        if error is not None:
            raise KafkaException(error)
        if number is not None and number in wanted:
            self._backlog.set_head(partitions[number], wanted.pop(number), self._time(message), wall_clock())

    def _time(self, message: Message) -> int:
        """Return the time of the trade in ``message``, or of the record if it holds no valid trade."""
        try:
            return decode_one(message.value() or b"", self._rules())[1].time
        except BadTrade:
            return to_microseconds(message.timestamp()[1])


def open_lag_monitor(
    settings: MergingSettings,
    backlog: Backlog,
    rules: Callable[[], Rules],
    log: structlog.stdlib.BoundLogger,
    *,
    whole_topic: bool = False,
) -> LagMonitor:
    """Return a monitor of the group's lag with a client for ``settings``; the client does not join the group."""
    client = kafka.consumer(settings, settings.KAFKA_CONSUMER_GROUP, **_CLIENT)
    return LagMonitor(client, settings.KAFKA_TOPIC_TRADES, backlog, rules, log, whole_topic=whole_topic)
