"""The driver's loop: monitor the streaming query, and stop it between two batches."""

import json
import threading
import time
from collections.abc import Callable

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.sql.streaming.query import StreamingQuery

from crypto_analytics.runtime.health import Health
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.spark_candles.reports import publish_progress

_POLL_SECONDS = 0.5
_DRAIN_SECONDS = 3.0  # within the ten seconds from SIGTERM to exit, which Spark's own shutdown needs too
_SLOW_SECONDS = 30.0


class QueryService:
    """Monitors a query until it ends or is stopped, and publishes its progress."""

    def __init__(
        self,
        query: StreamingQuery,
        group_offsets: GroupOffsets,
        *,
        stop: threading.Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._group_offsets = group_offsets
        self._stop = stop
        self._health = health
        self._log = log
        self._now = now
        self._reported: object = None
        self._idle_at = now()

    def run(self) -> None:
        """Monitor the query until the stop event is set, then let the running batch finish.

        Raises:
            StreamingQueryException: a batch or Spark failed.
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
        report = self._query.lastProgress
        if report is not None and report["timestamp"] != self._reported:
            self._reported = report["timestamp"]
            self._idle_at = self._now()
            publish_progress(json.loads(report.json))
        if not self._query.status["isTriggerActive"]:
            self._idle_at = self._now()
        self._health.beat()
        # A slow batch has a backlog or an unreachable store: the service is ready again when the batch is done.
        is_slow = self._now() - self._idle_at >= _SLOW_SECONDS
        self._health.ready = not is_slow and not self._group_offsets.is_overdue()
