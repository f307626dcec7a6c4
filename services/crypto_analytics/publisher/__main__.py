"""Run ``python -m crypto_analytics.publisher``: publish each changed candle to the topic crypto.candles.1m."""

from collections.abc import Mapping
from threading import Event

import psycopg
from confluent_kafka import KafkaException
from structlog.stdlib import BoundLogger

from crypto_analytics.publisher.service import Publisher
from crypto_analytics.publisher.settings import PublisherSettings
from crypto_analytics.runtime import health, kafka, logs, shutdown
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres

# Few prefetched messages: the default of the other consumers takes 60 MB more, for the seconds of a start alone.
_READING: Mapping[str, int | bool] = {
    "enable.partition.eof": True,
    "queued.max.messages.kbytes": 1024,
    "queued.min.messages": 2_000,
    "fetch.max.bytes": 1_048_576,
    "fetch.message.max.bytes": 262_144,
}


def main() -> int:
    """Return 0 after a stop by signal, 1 after an error that no retry can fix."""
    parser = command_line("publisher", __doc__, PublisherSettings)
    parser.parse_args()
    settings = load(PublisherSettings, "publisher")
    log = logs.setup("publisher", settings)
    stop = shutdown.stop_event()
    state = health.Health()
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    try:
        build(settings, stop, state, log).run()
    except KafkaException as error:
        log.error("gave_up", error=str(error), next="check KAFKA_* and this user's permissions, then start again")
        return 1
    except psycopg.Error as error:
        log.error(
            "gave_up", error=str(error).strip(), next="check POSTGRES_* and the database's migrations, then start again"
        )
        return 1
    except Exception:
        log.exception("gave_up", next="fix the cause above and start again; no change is lost")
        return 1
    log.info("stopped")
    return 0


def build(settings: PublisherSettings, stop: Event, state: health.Health, log: BoundLogger) -> Publisher:
    """Return the publisher, which opens its clients for ``settings`` itself."""
    topic = settings.KAFKA_TOPIC_CANDLES
    return Publisher(
        connect=lambda: postgres.connect(settings, "publisher"),
        open_producer=lambda: kafka.producer(settings),
        open_consumer=lambda: kafka.consumer(settings, f"{topic}-publisher", **_READING),
        topic=topic,
        check_seconds=settings.CANDLES_CHECK_SECONDS,
        stop=stop,
        health=state,
        log=log,
    )


if __name__ == "__main__":
    shutdown.end_process(main())
