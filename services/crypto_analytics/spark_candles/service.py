"""The driver's loop: watches the query, and stops it between two batches."""

import json
import threading
import time
from collections.abc import Callable

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.sql.streaming.query import StreamingQuery

from crypto_analytics.runtime.health import Health
from crypto_analytics.spark_candles.group_offsets import Position
from crypto_analytics.spark_candles.progress import publish

_LOOK_SECONDS = 0.5
_DRAIN_SECONDS = 3.0  # SIGTERM to exit within ten, the end of Spark itself included
_SLOW_SECONDS = 30.0


class QueryService:
    """Waits for the query's end, and says meanwhile how it is doing."""

    def __init__(
        self,
        query: StreamingQuery,
        position: Position,
        *,
        stop: threading.Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._position = position
        self._stop = stop
        self._health = health
        self._log = log
        self._now = now
        self._reported: object = None
        self._idle_at = now()

    def run(self) -> None:
        """Follow the query until asked to stop, then let the running batch end.

        Raises:
            StreamingQueryException: a batch failed, or Spark cannot go on.
            KafkaException: Kafka refuses this user.
        """
        while not self._stop.wait(_LOOK_SECONDS):
            self._look()
        until = self._now() + _DRAIN_SECONDS
        while self._query.status["isTriggerActive"] and self._now() < until:
            time.sleep(0.05)
        try:
            self._query.stop()
        except Py4JJavaError as error:  # waiting for Kafka, it does not hear; what it had begun is read again
            if error.java_exception.getClass().getName() != "java.util.concurrent.TimeoutException":
                raise
            self._log.warning("stopped_while_kafka_away", next="nothing: what it was reading is read again")

    def _look(self) -> None:
        if not self._query.isActive:
            self._query.awaitTermination()  # raises what ended it
            raise RuntimeError("the query was stopped by somebody else: start again")
        self._position.serve()
        report = self._query.lastProgress
        if report is not None and report["timestamp"] != self._reported:
            self._reported = report["timestamp"]
            self._idle_at = self._now()
            publish(json.loads(report.json))
        if not self._query.status["isTriggerActive"]:
            self._idle_at = self._now()
        self._health.beat()
        # A batch that takes long is one whose store is away, or a backlog: ready again when it is through.
        is_slow = self._now() - self._idle_at >= _SLOW_SECONDS
        self._health.ready = not is_slow and not self._position.is_overdue()
