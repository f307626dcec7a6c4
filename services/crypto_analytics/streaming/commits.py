"""Commits of a group's offsets: sent beside the work, and each answer is looked at."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeGuard

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from crypto_analytics.runtime import kafka, metrics

_RETRY_SECONDS = 1.0
_OVERDUE_SECONDS = 30.0
_NEXT = "nothing: it is sent again every second; records that are read twice for it are merged once"


class Commits:
    """Sends commits of offsets in ``topic``, retries those that fail, and raises what no retry mends.

    ``on_commit`` is the callback that the client is made with; the client calls it from its ``poll``, ``consume`` and
    ``close``. Errors in ``unimportant`` count as an answer.
    """

    def __init__(
        self,
        topic: str,
        log: structlog.stdlib.BoundLogger,
        *,
        unimportant: frozenset[int] = frozenset(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._log = log
        self._unimportant = unimportant
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[int, int] = {}  # offsets by partition that Kafka has not confirmed
        self._open_since = 0.0
        self._failed_at: float | None = None  # when the last answer was a failure that is not retried yet
        self._failing = ""
        self._refusal: KafkaError | None = None

    def send(self, client: Consumer, offsets: Mapping[int, int]) -> None:
        """Send a commit of ``offsets``, the next one to be read of each partition, without waiting for the answer.

        Raises:
            KafkaException: the client is beyond help.
        """
        if not offsets:
            return
        with self._lock:
            if not self._open:
                self._open_since = self._now()
            self._open |= offsets
            self._failed_at = None
            wanted = [TopicPartition(self._topic, number, offset) for number, offset in self._open.items()]
        client.commit(offsets=wanted, asynchronous=True)

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Look at the answer to a commit."""
        with self._lock:
            answers = [(part, error or part.error) for part in partitions]
            problems = [problem for problem in (error, *(answer for _, answer in answers)) if self._matters(problem)]
            for part, problem in answers:
                if not self._matters(problem):
                    self._confirm(part)
            if problems:
                self._fail(next(filter(kafka.is_refused, problems), problems[0]))  # one report for one commit
            elif not self._open and self._failing:
                self._log.info("commit_recovered", after=self._failing)
                self._failing = ""

    def _matters(self, problem: KafkaError | None) -> TypeGuard[KafkaError]:
        return problem is not None and problem.code() not in self._unimportant

    def _confirm(self, part: TopicPartition) -> None:
        if self._open.get(part.partition) == part.offset:
            del self._open[part.partition]
        self._open_since = self._now()

    def _fail(self, error: KafkaError) -> None:
        metrics.OFFSET_COMMITS_FAILED.labels(error.name()).inc()
        if kafka.is_refused(error):
            self._refusal = error
            return
        self._failed_at = self._now()
        if error.name() != self._failing:
            self._failing = error.name()
            self._log.warning("commit_failed", error=error.str(), next=_NEXT)

    def serve(self, client: Consumer) -> None:
        """Send again what failed a second ago. Call it in a loop that also polls ``client``.

        Raises:
            KafkaException: Kafka refuses this group's commits for good.
        """
        self.check()
        with self._lock:
            is_due = self._failed_at is not None and self._now() - self._failed_at >= _RETRY_SECONDS
            again = dict(self._open) if is_due else {}
        self.send(client, again)

    def check(self) -> None:
        """Raise KafkaException if Kafka refuses this group's commits for good."""
        if self._refusal is not None:
            raise KafkaException(self._refusal)

    def forget(self, partitions: Iterable[int]) -> None:
        """Do not retry the commits of partitions that the group has given to another member."""
        with self._lock:
            for number in partitions:
                self._open.pop(number, None)
            if not self._open:
                self._failed_at = None

    def is_overdue(self) -> bool:
        """Whether Kafka has confirmed nothing that was sent for half a minute."""
        with self._lock:
            return bool(self._open) and self._now() - self._open_since > _OVERDUE_SECONDS
