"""Commit the offsets of a consumer group asynchronously, and check and retry every commit."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeGuard

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from crypto_analytics.runtime import kafka, metrics

_RETRY_SECONDS = 1.0
_OVERDUE_SECONDS = 30.0
_NEXT = "nothing: it is retried every second; records that are read again are merged once"


class OffsetCommitter:
    """Commits offsets of ``topic``, retries failed commits, and raises errors that no retry can fix.

    Pass ``on_commit`` to the client as its callback: the client calls it from ``poll``, ``consume`` and ``close``. A
    commit that fails with an error in ``ignored_errors`` counts as confirmed.
    """

    def __init__(
        self,
        topic: str,
        log: structlog.stdlib.BoundLogger,
        *,
        ignored_errors: frozenset[int] = frozenset(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._log = log
        self._ignored_errors = ignored_errors
        self._now = now
        self._lock = threading.Lock()
        self._unconfirmed: dict[int, int] = {}  # offsets by partition
        self._unconfirmed_since = 0.0
        self._failed_at: float | None = None  # when the last commit failed, until it is retried
        self._last_error = ""
        self._refusal: KafkaError | None = None

    def send(self, client: Consumer, offsets: Mapping[int, int]) -> None:
        """Commit ``offsets`` (by partition, the offset of the next record to read) without waiting for the result.

        Raises:
            KafkaException: the client has failed for good.
        """
        if not offsets:
            return
        with self._lock:
            if not self._unconfirmed:
                self._unconfirmed_since = self._now()
            self._unconfirmed |= offsets
            self._failed_at = None
            wanted = [TopicPartition(self._topic, number, offset) for number, offset in self._unconfirmed.items()]
        client.commit(offsets=wanted, asynchronous=True)

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Check the result of a commit."""
        with self._lock:
            results = [(part, error or part.error) for part in partitions]
            failures = [failure for failure in (error, *(result for _, result in results)) if self._is_failure(failure)]
            for part, failure in results:
                if not self._is_failure(failure):
                    self._confirm(part)
            if failures:
                self._fail(next(filter(kafka.is_refused, failures), failures[0]))  # one log event for each commit
            elif not self._unconfirmed and self._last_error:
                self._log.info("commit_recovered", after=self._last_error)
                self._last_error = ""

    def _is_failure(self, error: KafkaError | None) -> TypeGuard[KafkaError]:
        return error is not None and error.code() not in self._ignored_errors

    def _confirm(self, part: TopicPartition) -> None:
        if self._unconfirmed.get(part.partition) == part.offset:
            del self._unconfirmed[part.partition]
        self._unconfirmed_since = self._now()

    def _fail(self, error: KafkaError) -> None:
        metrics.OFFSET_COMMITS_FAILED.labels(error.name()).inc()
        if kafka.is_refused(error):
            self._refusal = error
            return
        self._failed_at = self._now()
        if error.name() != self._last_error:
            self._last_error = error.name()
            self._log.warning("commit_failed", error=error.str(), next=_NEXT)

    def serve(self, client: Consumer) -> None:
        """Retry a commit that failed a second ago. Call this in a loop that also polls ``client``.

        Raises:
            KafkaException: Kafka refuses this group's commits for good.
        """
        self.check()
        with self._lock:
            is_due = self._failed_at is not None and self._now() - self._failed_at >= _RETRY_SECONDS
            retried = dict(self._unconfirmed) if is_due else {}
        self.send(client, retried)

    def check(self) -> None:
        """Raise KafkaException if Kafka refuses this group's commits for good."""
        if self._refusal is not None:
            raise KafkaException(self._refusal)

    def forget(self, partitions: Iterable[int]) -> None:
        """Stop retrying the commits of partitions that were revoked."""
        with self._lock:
            for number in partitions:
                self._unconfirmed.pop(number, None)
            if not self._unconfirmed:
                self._failed_at = None

    def is_overdue(self) -> bool:
        """Return whether Kafka has not confirmed a commit for half a minute."""
        with self._lock:
            return bool(self._unconfirmed) and self._now() - self._unconfirmed_since > _OVERDUE_SECONDS
