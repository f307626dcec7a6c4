"""Run ``python -m crypto_analytics.consumer``: merge trades from Kafka into candles and the raw archive."""

from threading import Event

from confluent_kafka import KafkaException
from structlog.stdlib import BoundLogger

from crypto_analytics.consumer.collector import BatchCollector
from crypto_analytics.consumer.service import ConsumerService
from crypto_analytics.consumer.settings import ConsumerSettings
from crypto_analytics.runtime import health, kafka, logs, shutdown
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.lag import LagMonitor, open_lag_monitor
from crypto_analytics.streaming.merger import open_merger
from crypto_analytics.streaming.offset_commits import OffsetCommitter


def main() -> int:
    """Return 0 after a stop by signal, 1 after an error that no retry can fix."""
    parser = command_line("consumer", __doc__, ConsumerSettings)
    parser.parse_args()
    settings = load(ConsumerSettings, "consumer")
    log = logs.setup("consumer", settings)
    stop = shutdown.stop_event()
    state = health.Health()
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    service, lag_monitor = build(settings, stop, state, log)
    with lag_monitor:
        code = _run(service, log)
    if service.is_stuck():
        log.warning("call_abandoned", next="nothing: uncommitted records are read again at the next start")
    return code


def _run(service: ConsumerService, log: BoundLogger) -> int:
    try:
        service.run()
    except KafkaException as error:
        log.error("gave_up", error=str(error), next="check KAFKA_* and this user's permissions, then start again")
        return 1
    except Exception:
        log.exception("gave_up", next="fix the cause above and start again; no uncommitted record is lost")
        return 1
    log.info("stopped")
    return 0


def build(
    settings: ConsumerSettings, stop: Event, state: health.Health, log: BoundLogger
) -> tuple[ConsumerService, LagMonitor]:
    """Return the service and the monitor of its lag, with clients for ``settings``."""
    overrides = {"group.instance.id": settings.KAFKA_GROUP_INSTANCE_ID} if settings.KAFKA_GROUP_INSTANCE_ID else {}
    commits, backlog = OffsetCommitter(settings.KAFKA_TOPIC_TRADES, log), Backlog()
    merger = open_merger(settings, "consumer", stop, log)
    service = ConsumerService(
        consumer=kafka.consumer(settings, settings.KAFKA_CONSUMER_GROUP, on_commit=commits.on_commit, **overrides),
        topic=settings.KAFKA_TOPIC_TRADES,
        collector=BatchCollector(settings.BATCH_SECONDS, settings.BATCH_TRADES, settings.BATCH_MAX_TRADES),
        merger=merger,
        commits=commits,
        backlog=backlog,
        stop=stop,
        health=state,
        log=log,
    )
    return service, open_lag_monitor(settings, backlog, merger.rules, log)


if __name__ == "__main__":
    shutdown.end_process(main())
