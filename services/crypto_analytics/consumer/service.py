"""The consumer's loop: collect, hand over, and commit offsets only after the database has."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from crypto_analytics.consumer.batch import Collector
from crypto_analytics.consumer.merger import Merger, Stopped
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.health import Health

_POLL_SECONDS = 0.1
_POLL_MESSAGES = 10_000
_DRAIN_SECONDS = 7.0  # SIGTERM to exit within ten seconds

_FATAL = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._FATAL,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)


@dataclass(slots=True)
class _Pending:
    """A batch being merged, and the offsets to commit once it is."""

    future: "Future[object]"
    offsets: list[TopicPartition]


class ConsumerService:
    """Reads the trades topic in batches; one is merged in a worker thread while the next one is collected."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        topic: str,
        collector: Collector,
        merger: Merger,
        stop: threading.Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._collector = collector
        self._merger = merger
        self._stop = stop
        self._health = health
        self._log = log
        self._now = now
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self._pending: _Pending | None = None

    def run(self) -> None:
        """Consume until asked to stop, then merge what was read and leave the group.

        Raises:
            KafkaException: the broker refuses this consumer for good.
            Exception: a batch failed in a way that no retry mends.
        """
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        try:
            while not self._stop.is_set():
                self._read()
                self._settle(timeout=0)
                if self._pending is None and self._collector.is_due(self._now()):
                    self._hand_over()
                self._health.beat()
            self._drain()
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._consumer.close()
            self._merger.close()

    def _read(self) -> None:
        room = self._collector.room()
        if room:
            longest = self._collector.wait(self._now(), _POLL_SECONDS)
            messages = self._consumer.consume(min(room, _POLL_MESSAGES), longest)
        else:
            # A store is away or slow. Look in on the broker now and then, or it takes this consumer for dead.
            self._settle(timeout=_POLL_SECONDS)
            message = self._consumer.poll(0)
            messages = [message] if message is not None else []
        good = [message for message in messages if message.error() is None]
        if len(good) < len(messages):
            self._judge(messages)
        self._collector.add(good, self._now())
        self._health.ready = not self._merger.waiting

    def _judge(self, messages: list[Message]) -> None:
        """Log what the client library mends by itself, raise what it cannot."""
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.fatal() or error.code() in _FATAL:
                raise KafkaException(error)
            self._log.warning("kafka_trouble", error=error.str(), next="the client library retries by itself")

    def _hand_over(self) -> None:
        # Everything read so far is in the batch, so the position is where the next one starts.
        offsets = [part for part in self._consumer.position(self._consumer.assignment()) if part.offset >= 0]
        messages = self._collector.take()
        self._pending = _Pending(self._worker.submit(self._merger.work, messages), offsets)

    def _settle(self, timeout: float) -> None:
        """Commit the offsets of the pending batch if it is merged within ``timeout`` seconds."""
        if self._pending is None:
            return
        wait([self._pending.future], timeout)
        if not self._pending.future.done():
            return
        pending, self._pending = self._pending, None
        pending.future.result()
        if pending.offsets:
            self._consumer.commit(offsets=pending.offsets, asynchronous=True)
            self._report_lag(pending.offsets)

    def _drain(self) -> None:
        """Merge what was read, within the time that a stop may take; what is not merged is read again next time."""
        deadline = self._now() + _DRAIN_SECONDS
        try:
            while self._pending is not None and self._now() < deadline:
                self._settle(timeout=deadline - self._now())
            if len(self._collector) and self._pending is None:
                self._hand_over()
                self._settle(timeout=deadline - self._now())
        except Stopped:
            self._log.warning("stopped_while_store_away", next="the batch is read again at the next start")

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._log.info("partitions_assigned", partitions=[part.partition for part in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish the pending batch and forget the one being collected: the partitions' next reader has it again."""
        try:
            self._settle(timeout=_DRAIN_SECONDS)
        except Stopped:
            self._log.warning("stopped_while_store_away", next="the batch is read again at the next start")
        self._collector.take()
        self._log.info("partitions_revoked", partitions=[part.partition for part in partitions])

    def _report_lag(self, offsets: list[TopicPartition]) -> None:
        ends = [self._consumer.get_watermark_offsets(part, cached=True) for part in offsets]
        behind = sum(max(0, high - part.offset) for part, (_, high) in zip(offsets, ends, strict=True))
        metrics.LAG_TRADES.set(behind + len(self._collector))
