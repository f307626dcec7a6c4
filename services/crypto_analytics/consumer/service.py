"""The consumer's loop: receive records, merge them in batches, and commit offsets after the database has committed."""

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from crypto_analytics.binance.trade_decoder import AT_ONCE
from crypto_analytics.consumer.collector import BatchCollector
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.health import Health
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.merger import Merger, StopRequested, update_metrics
from crypto_analytics.streaming.offset_commits import OffsetCommitter

_POLL_SECONDS = 0.1
_MIN_POLL_SECONDS = 0.01  # while a due batch waits for the one before it: poll often, without a busy loop
_POLL_MESSAGES = AT_ONCE
_GC_INTERVAL_SECONDS = 60.0
_KEEP_ALIVE_SECONDS = 5.0  # longest delay of a rebalance or a commit's result while a store is unreachable
_DRAIN_SECONDS = 7.0  # together with the next one within the ten seconds from SIGTERM to exit
_LEAVE_SECONDS = 2.0


@dataclass(slots=True)
class _Pending:
    """A batch that is being merged, and the offsets to commit afterwards."""

    future: "Future[object]"
    offsets: dict[int, int]
    """By partition, the offset of the next record to read."""


class ConsumerService:
    """Merges the trades topic in batches with three threads, which receive, decode and merge.

    A batch is merged while the next one is collected. At most these two are in memory.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        topic: str,
        collector: BatchCollector[Future[DecodedRecords]],
        merger: Merger,
        commits: OffsetCommitter,
        backlog: Backlog,
        stop: threading.Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._collector = collector
        self._merger = merger
        self._commits = commits
        self._backlog = backlog
        self._stop = stop
        self._health = health
        self._log = log
        self._now = now
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._merging = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self._pending: _Pending | None = None
        self._leaving: Future[None] | None = None
        self._deadline: float | None = None
        self._last_poll = now()
        self._next_gc = now() + _GC_INTERVAL_SECONDS
        self._paused = False

    def run(self) -> None:
        """Consume until the stop event is set, then merge the records that were read and leave the group.

        Raises:
            KafkaException: the broker refuses this consumer for good.
            Exception: a batch failed with an error that no retry can fix.
        """
        gc.disable()  # thousands of messages without reference cycles: automatic collections would only cost time
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        try:
            while not self._stop.is_set():
                self._read()
                self._commit_merged(timeout=0)
                self._commits.serve(self._consumer)
                if self._pending is None and self._collector.is_due(self._now()):
                    self._start_merge()
                self._collect_garbage()
                self._health.beat()
            self._drain()
        except StopRequested as error:
            self._log.warning("batch_abandoned", error=str(error), next="nothing: the next start reads it again")
        finally:
            self._merging.shutdown(wait=False, cancel_futures=True)
            self._decoding.shutdown(wait=False, cancel_futures=True)
            self._leave()
            self._merger.close()
        self._commits.check()  # the result of the last commit arrived while the client was closed

    def _collect_garbage(self) -> None:
        if self._now() >= self._next_gc:
            gc.collect()
            self._next_gc = self._now() + _GC_INTERVAL_SECONDS

    def _read(self) -> None:
        room = self._collector.room()
        if room:
            if self._paused:
                self._consumer.resume(self._consumer.assignment())
                self._paused = False
            self._last_poll = self._now()
            longest = max(_MIN_POLL_SECONDS, self._collector.wait(self._now(), _POLL_SECONDS))
            messages = kafka.consume(self._consumer, min(room, _POLL_MESSAGES), longest)
        else:
            self._commit_merged(timeout=_POLL_SECONDS)
            messages = self._keep_alive()
        now = self._now()
        if any(map(Message.error, messages)):
            self._handle_errors(messages)
            messages = [message for message in messages if message.error() is None]
        if messages:
            self._collector.add(self._decoding.submit(self._decode, messages), len(messages), now)
        self._health.ready = not self._merger.waiting and not self._commits.is_overdue()

    def _decode(self, messages: list[Message]) -> DecodedRecords:
        """Return ``messages`` decoded; runs in the decoding thread."""

        def origin(position: int) -> str:
            message = messages[position]
            return f"{message.topic()}/{message.partition()}/{message.offset()}"

        values = list(map(Message.value, messages))
        if not all(values):
            values = [value or b"" for value in values]  # a record without a value (tombstone)
        return DecodedRecords.of(values, origin, self._merger.rules())

    def _keep_alive(self) -> list[Message]:
        """Poll without fetching while a store is unreachable, or the broker removes this consumer from the group."""
        if self._now() - self._last_poll < _KEEP_ALIVE_SECONDS:
            return []
        self._last_poll = self._now()
        self._consumer.pause(self._consumer.assignment())  # the batch has no room for another record
        self._paused = True
        message = self._consumer.poll(0)
        return [] if message is None else [message]

    def _handle_errors(self, messages: list[Message]) -> None:
        """Log errors after which the client library retries, raise the others."""
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if kafka.is_refused(error):
                raise KafkaException(error)
            self._log.warning("kafka_error_received", error=error.str(), next="nothing: the client library retries")

    def _start_merge(self) -> None:
        # All records that were read are in the batch, so the next batch starts at the consumer's position.
        positions = self._consumer.position(self._consumer.assignment())
        offsets = {part.partition: part.offset for part in positions if part.offset >= 0}
        self._pending = _Pending(self._merging.submit(self._merge, self._collector.take()), offsets)

    def _merge(self, chunks: list[Future[DecodedRecords]]) -> None:
        """Merge a batch; runs in the merging thread."""
        started = time.monotonic()
        records = DecodedRecords.joined([chunk.result() for chunk in chunks])
        chunks.clear()  # frees their memory: the joined records are copies
        result = self._merger.merge(records)
        update_metrics([result], time.monotonic() - started)

    def _commit_merged(self, timeout: float) -> None:
        """Commit the offsets of the pending batch if its merge ends within ``timeout`` seconds."""
        if self._pending is None:
            return
        wait([self._pending.future], timeout)
        if not self._pending.future.done():
            return
        pending, self._pending = self._pending, None
        pending.future.result()
        self._backlog.merged(pending.offsets)
        self._commits.send(self._consumer, pending.offsets)

    def _drain(self) -> None:
        """Merge the records that were read, within the time limit of a stop; the next start reads the others again."""
        self._deadline = self._now() + _DRAIN_SECONDS
        self._commit_merged(self._time_left())
        if len(self._collector) and self._pending is None:
            self._start_merge()
            self._commit_merged(self._time_left())

    def _leave(self) -> None:
        """Leave the group, without waiting longer: with the broker unreachable, close() takes session.timeout.ms."""
        self._leaving = ThreadPoolExecutor(1, thread_name_prefix="leave").submit(self._consumer.close)
        wait([self._leaving], _LEAVE_SECONDS)
        if self._leaving.done():
            self._leaving.result()

    def _time_left(self) -> float:
        """Return the seconds left for the merge of the pending batch at a stop or a rebalance."""
        return _DRAIN_SECONDS if self._deadline is None else max(0.0, self._deadline - self._now())

    def is_stuck(self) -> bool:
        """Return whether a call that cannot be interrupted still waits for a store or for the broker."""
        merging = self._pending is not None and not self._pending.future.done()
        return merging or (self._leaving is not None and not self._leaving.done())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._paused = False
        numbers = [part.partition for part in partitions]
        self._backlog.assign(numbers)
        self._log.info("partitions_assigned", partitions=numbers)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish the pending batch and drop the collected one, which the partitions' next consumer reads again."""
        try:
            self._commit_merged(self._time_left())
        except StopRequested as error:
            self._log.warning("batch_abandoned", error=str(error), next="nothing: the next start reads it again")
        self._collector.take()
        numbers = [part.partition for part in partitions]
        if self._pending is not None:  # it is still being merged: the next consumer commits these partitions
            for number in numbers:
                self._pending.offsets.pop(number, None)
        self._backlog.revoke(numbers)
        self._commits.forget(numbers)
        self._log.info("partitions_revoked", partitions=numbers)
