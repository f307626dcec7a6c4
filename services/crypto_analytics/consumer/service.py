"""The consumer's loop: receive, hand over, and commit offsets only after the database has."""

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from crypto_analytics.binance.wire import AT_ONCE
from crypto_analytics.consumer.collector import Collector
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.health import Health
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.commits import Commits
from crypto_analytics.streaming.decoded_records import Records
from crypto_analytics.streaming.merger import Merger, Stopped, count

_POLL_SECONDS = 0.1
_LEAST_POLL_SECONDS = 0.01  # a batch that is due may have to wait for the one before it: look often, but do not spin
_POLL_MESSAGES = AT_ONCE
_COLLECT_SECONDS = 60.0
_LOOK_IN_SECONDS = 5.0  # as long as a rebalance, or the answer to a commit, may wait for a store that is away
_DRAIN_SECONDS = 7.0  # SIGTERM to exit within ten seconds,
_LEAVE_SECONDS = 2.0  # these two together


@dataclass(slots=True)
class _Pending:
    """A batch being merged, and the offsets to commit once it is."""

    future: "Future[object]"
    offsets: dict[int, int]
    """By partition, the next one to be read."""


class ConsumerService:
    """Reads the trades topic in batches, in three threads: one receives, one decodes what was received, one merges.

    A batch is merged while the next one is collected; at most these two are in memory.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        topic: str,
        collector: Collector[Future[Records]],
        merger: Merger,
        commits: Commits,
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
        self._last_look = now()
        self._next_collection = now() + _COLLECT_SECONDS
        self._paused = False

    def run(self) -> None:
        """Consume until asked to stop, then merge what was read and leave the group.

        Raises:
            KafkaException: the broker refuses this consumer for good.
            Exception: a batch failed in a way that no retry mends.
        """
        gc.disable()  # messages are objects by the thousand without a cycle: looking through them costs time
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        try:
            while not self._stop.is_set():
                self._read()
                self._settle(timeout=0)
                self._commits.serve(self._consumer)
                if self._pending is None and self._collector.is_due(self._now()):
                    self._hand_over()
                self._collect_garbage()
                self._health.beat()
            self._drain()
        except Stopped:
            self._log.warning("stopped_while_store_away", next="the batch is read again at the next start")
        finally:
            self._merging.shutdown(wait=False, cancel_futures=True)
            self._decoding.shutdown(wait=False, cancel_futures=True)
            self._leave()
            self._merger.close()
        self._commits.check()  # the answer to the last commit came while the client was closed

    def _collect_garbage(self) -> None:
        if self._now() >= self._next_collection:
            gc.collect()
            self._next_collection = self._now() + _COLLECT_SECONDS

    def _read(self) -> None:
        room = self._collector.room()
        if room:
            if self._paused:
                self._consumer.resume(self._consumer.assignment())
                self._paused = False
            self._last_look = self._now()
            longest = max(_LEAST_POLL_SECONDS, self._collector.wait(self._now(), _POLL_SECONDS))
            messages = kafka.consume(self._consumer, min(room, _POLL_MESSAGES), longest)
        else:
            self._settle(timeout=_POLL_SECONDS)
            messages = self._stay_in_the_group()
        now = self._now()
        if any(map(Message.error, messages)):
            self._judge(messages)
            messages = [message for message in messages if message.error() is None]
        if messages:
            self._collector.add(self._decoding.submit(self._decode, messages), len(messages), now)
        self._health.ready = not self._merger.waiting and not self._commits.is_overdue()

    def _decode(self, messages: list[Message]) -> Records:
        """Return what ``messages`` hold; runs in the decoding thread."""

        def origin(position: int) -> str:
            message = messages[position]
            return f"{message.topic()}/{message.partition()}/{message.offset()}"

        values = list(map(Message.value, messages))
        if not all(values):
            values = [value or b"" for value in values]  # a record may have no value at all
        return Records.of(values, origin, self._merger.rules())

    def _stay_in_the_group(self) -> list[Message]:
        """Look in on the broker during a long outage of a store, or it takes this consumer for dead."""
        if self._now() - self._last_look < _LOOK_IN_SECONDS:
            return []
        self._last_look = self._now()
        self._consumer.pause(self._consumer.assignment())  # no record may come: there is no room for it
        self._paused = True
        message = self._consumer.poll(0)
        return [] if message is None else [message]

    def _judge(self, messages: list[Message]) -> None:
        """Log what the client library mends by itself, raise what it cannot."""
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if kafka.is_refused(error):
                raise KafkaException(error)
            self._log.warning("kafka_trouble", error=error.str(), next="the client library retries by itself")

    def _hand_over(self) -> None:
        # Everything read so far is in the batch, so the position is where the next one starts.
        places = self._consumer.position(self._consumer.assignment())
        offsets = {part.partition: part.offset for part in places if part.offset >= 0}
        self._pending = _Pending(self._merging.submit(self._merge, self._collector.take()), offsets)

    def _merge(self, pieces: list[Future[Records]]) -> None:
        """Merge a batch; runs in the merging thread."""
        started = time.monotonic()
        records = Records.joined([piece.result() for piece in pieces])
        pieces.clear()  # or they would be in memory beside what they were joined to
        work = self._merger.work(records)
        count([work], time.monotonic() - started)

    def _settle(self, timeout: float) -> None:
        """Commit the offsets of the pending batch if it is merged within ``timeout`` seconds."""
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
        """Merge what was read, within the time that a stop may take; what is not merged is read again next time."""
        self._deadline = self._now() + _DRAIN_SECONDS
        self._settle(self._time_left())
        if len(self._collector) and self._pending is None:
            self._hand_over()
            self._settle(self._time_left())

    def _leave(self) -> None:
        """Leave the group. With the broker away, the client would wait session.timeout.ms for a commit under way."""
        self._leaving = ThreadPoolExecutor(1, thread_name_prefix="leave").submit(self._consumer.close)
        wait([self._leaving], _LEAVE_SECONDS)
        if self._leaving.done():
            self._leaving.result()

    def _time_left(self) -> float:
        """Return the seconds that the merge of the pending batch may still take at a stop or a rebalance."""
        return _DRAIN_SECONDS if self._deadline is None else max(0.0, self._deadline - self._now())

    def is_stuck(self) -> bool:
        """Whether a call that nothing can interrupt still waits: for a store, or for the broker to let go."""
        merging = self._pending is not None and not self._pending.future.done()
        return merging or (self._leaving is not None and not self._leaving.done())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._paused = False
        numbers = [part.partition for part in partitions]
        self._backlog.assign(numbers)
        self._log.info("partitions_assigned", partitions=numbers)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish the pending batch and forget the one being collected: the partitions' next reader has it again."""
        try:
            self._settle(self._time_left())
        except Stopped:
            self._log.warning("stopped_while_store_away", next="the batch is read again at the next start")
        self._collector.take()
        numbers = [part.partition for part in partitions]
        if self._pending is not None:  # it is still being merged: the next reader commits these partitions
            for number in numbers:
                self._pending.offsets.pop(number, None)
        self._backlog.revoke(numbers)
        self._commits.forget(numbers)
        self._log.info("partitions_revoked", partitions=numbers)
