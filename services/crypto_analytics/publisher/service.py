"""Run one session of the publisher after another, until a stop or an error that no retry can fix."""

from collections.abc import Callable
from contextlib import closing
from threading import Event

import psycopg
import structlog
from confluent_kafka import Consumer, KafkaException, Producer

from crypto_analytics.publisher.feed import CandleFeed
from crypto_analytics.publisher.lag import PublishLag
from crypto_analytics.publisher.session import Session, TableOlder
from crypto_analytics.publisher.topic_reader import TopicReader
from crypto_analytics.publisher.topic_writer import TopicReset, TopicWriter
from crypto_analytics.runtime import kafka, metrics
from crypto_analytics.runtime.health import Health
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store import postgres

_LEAST_BACKOFF, _LARGEST_BACKOFF = 0.2, 5.0


class StopRequested(Exception):
    """The service is to stop."""


class Publisher:
    """Opens a session with new clients, and the next one when it fails.

    The state of a session is read from the topic, so a failure of any kind is handled in one way.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], psycopg.Connection],
        open_producer: Callable[[], Producer],
        open_consumer: Callable[[], Consumer],
        topic: str,
        check_seconds: float,
        stop: Event,
        health: Health,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._connect = connect
        self._open_producer = open_producer
        self._open_consumer = open_consumer
        self._topic = topic
        self._check_seconds = check_seconds
        self._stop = stop
        self._health = health
        self._lag = PublishLag()
        self._log = log
        self._delays = backoff(_LEAST_BACKOFF, _LARGEST_BACKOFF)

    def run(self) -> None:
        """Publish until the stop event is set.

        Raises:
            KafkaException: Kafka refuses this login or its access.
            psycopg.Error: PostgreSQL refuses the login, or has no such table.
        """
        metrics.PUBLISH_LAG.set_function(self._lag.seconds)
        while not self._stop.is_set():
            try:
                self._run_session()
            except StopRequested:
                return
            except (TableOlder, TopicReset) as change:
                self._log.warning("state_changed", cause=str(change), next="nothing: the topic is read again")
            except psycopg.Error as error:
                if not postgres.is_retryable(error):
                    raise
                self._log.warning("postgres_unavailable", cause=str(error).strip(), next="nothing: it is retried")
            except KafkaException as error:
                if error.args[0].code() in kafka.REFUSED:
                    raise
                self._log.warning(
                    "kafka_unavailable", cause=error.args[0].str(), next=f"check Kafka and its topic {self._topic}"
                )
            self._health.ready = False
            self._lag.interrupted()
            self._health.beat()
            self._stop.wait(next(self._delays))

    def _run_session(self) -> None:
        writer = TopicWriter(self._open_producer(), self._topic)
        try:
            with closing(self._connect()) as connection, closing(self._open_consumer()) as consumer:
                session = Session(
                    CandleFeed(connection),
                    TopicReader(consumer, self._topic, self._check, self._log),
                    writer,
                    check_seconds=self._check_seconds,
                    check=self._check,
                    health=self._health,
                    lag=self._lag,
                    log=self._log,
                )
                session.wait_for_lock(f"publisher of {self._topic}")
                session.resume()
                self._delays = backoff(_LEAST_BACKOFF, _LARGEST_BACKOFF)
                session.stream()
        finally:
            writer.close()

    def _check(self) -> None:
        """Record progress. Raises StopRequested."""
        self._health.beat()
        if self._stop.is_set():
            raise StopRequested
