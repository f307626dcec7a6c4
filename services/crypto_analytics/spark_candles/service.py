"""The driver's loop: monitor the streaming query, and stop it between two batches."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.sql.streaming.query import StreamingQuery

from crypto_analytics.runtime.health import Health
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.spark_candles.readiness import QueryReadiness
from crypto_analytics.spark_candles.reports import publish_progress

_POLL_SECONDS = 0.5
_DRAIN_SECONDS = 3.0  # within the ten seconds from SIGTERM to exit, which Spark's own shutdown needs too


class QueryService:
    """Monitors a query until it ends or is stopped, and publishes its progress and its readiness.

    ``executor_check`` is done once an executor has run a task.
    """

    def __init__(
        self,
        query: StreamingQuery,
        group_offsets: GroupOffsets,
        executor_check: Future[None],
        *,
        stop: threading.Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._group_offsets = group_offsets
        self._executor_check = executor_check
        self._stop = stop
        self._health = health
        self._log = log
        self._now = now
        self._reported_at: str | None = None
        self._readiness = QueryReadiness(now)

    def run(self) -> None:
        """Monitor the query until the stop event is set, then let the running batch finish.

        Raises:
            StreamingQueryException: a batch or Spark failed.
            Exception: no executor can run a task.
            KafkaException: Kafka refuses this user.
        """
        while not self._stop.wait(_POLL_SECONDS):
            self._check()
        until = self._now() + _DRAIN_SECONDS
        while self._query.status["isTriggerActive"] and self._now() < until:
            time.sleep(0.05)
        try:
            self._query.stop()
        except Py4JJavaError as error:  # it waits for Kafka; the batch is read again
            if error.java_exception.getClass().getName() != "java.util.concurrent.TimeoutException":
                raise
            self._log.warning(
                "batch_abandoned", error="Kafka is unreachable", next="nothing: the next start reads it again"
            )

    def _check(self) -> None:
        if not self._query.isActive:
            self._query.awaitTermination()  # raises the error that ended it
            raise RuntimeError("the query was stopped from outside this service: start it again")
        self._group_offsets.serve()
        has_executor = self._executor_check.done()
        if has_executor:
            self._executor_check.result()  # raises the error of a task that failed
        report = self._query.lastProgress
        if report is not None and report["timestamp"] != self._reported_at:
            self._reported_at = report["timestamp"]
            publish_progress(json.loads(report.json))
        self._health.beat()
        is_ready = self._readiness.update(self._query.status, self._reported_at, has_executor=has_executor)
        self._health.ready = is_ready and not self._group_offsets.is_overdue()
