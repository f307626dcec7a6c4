"""Run ``python -m crypto_analytics.producer``: the exchange's trade stream into Kafka, without gaps."""

import asyncio
from threading import Event

from confluent_kafka import KafkaException
from structlog.stdlib import BoundLogger

from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.rest import BinanceRest
from crypto_analytics.binance.websocket import TradeStream
from crypto_analytics.binance.wire import Rules, latest_allowed
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer import service
from crypto_analytics.producer.gap_check import GapCheck, PostgresGaps
from crypto_analytics.producer.gap_reasons import GapReasons
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades
from crypto_analytics.producer.settings import ProducerSettings
from crypto_analytics.producer.sink import KafkaSink
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.producer.topic_tail import TailUnreadable, TopicMissing, read_sent_ids
from crypto_analytics.runtime import health, kafka, logs, shutdown
from crypto_analytics.runtime.clock import clock_for
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.runtime.settings import command_line, load

_START_ATTEMPTS = 12  # about a minute for Kafka and its topics to come up


def main() -> int:
    """Return 0 after a stop by signal, 1 where the producer had to give up."""
    parser = command_line("producer", __doc__, ProducerSettings)
    parser.parse_args()
    settings = load(ProducerSettings, "producer")
    log = logs.setup("producer", settings)
    stop = shutdown.stop_event()
    state = health.Health()
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    sink = KafkaSink(
        kafka.producer(settings),
        settings.KAFKA_TOPIC_TRADES,
        settings.KAFKA_TOPIC_DLQ,
        sample_latency=settings.AS_OF is None,
    )
    try:
        stopped_at = asyncio.run(run(settings, sink, state, stop, log))
        left = sink.flush(service.seconds_left(stopped_at))
    except Exception as error:  # noqa: BLE001  # logged with its cause: the process ends here
        return give_up(error, log)
    if left:
        log.warning("not_delivered", records=left, next="nothing: the next start finds and repairs what is missing")
    log.info("stopped")
    return 0


async def run(
    settings: ProducerSettings, sink: KafkaSink, state: health.Health, stop: Event, log: BoundLogger
) -> float:
    """Find out where earlier runs ended, then follow the stream until ``stop``; return when (monotonic) that came."""
    clock = clock_for(settings.AS_OF)
    symbols = frozenset(settings.SYMBOLS)
    rest = BinanceRest(
        str(settings.BINANCE_REST_URL),
        weight_limit=settings.BINANCE_WEIGHT_LIMIT,
        timeout=settings.BINANCE_TIMEOUT_SECONDS,
    )
    async with rest:
        records = GapReasons(for_database=settings.looks_for_gaps)
        listener = StreamListener(
            settings.SYMBOLS,
            sink,
            rest,
            lambda: Rules(symbols, latest_allowed(clock(), settings.MAX_FUTURE_SECONDS)),
            records=records,
            catch_up_seconds=settings.CATCH_UP_SECONDS,
        )
        listener.resume(await last_ids(settings, state, stop, log))
        stream = TradeStream(
            str(settings.BINANCE_WS_URL),
            settings.SYMBOLS,
            listener,
            stream_type=settings.STREAM_TYPE,
            policy=settings.policy,
        )
        rest_trades = RestTrades(
            rest,
            aggregated_above=settings.REPAIR_AGG_ABOVE,
            aggregated_stream=settings.STREAM_TYPE == "aggTrade",
        )
        repairer = Repairer(listener.ids, rest_trades, sink, lambda: listener.rules, records=records)
        parts = [stream.run(), repairer.run(settings.REPAIR_DELAY_SECONDS), sink.pump()]
        if settings.looks_for_gaps:
            check = GapCheck(PostgresGaps(settings), listener.ids, settings.GAP_CHECK_SECONDS, records=records)
            await check.resume()
            parts.append(check.run())
        else:
            log.info(
                "gap_check_off", next="to close gaps that outlive a crash, set POSTGRES_USER and GAP_CHECK_SECONDS"
            )
        return await service.run(listener, parts, health=state, stop=stop)


async def last_ids(
    settings: ProducerSettings, state: health.Health, stop: Event, log: BoundLogger
) -> dict[str, IdRanges]:
    """Return what earlier runs sent, as the end of the trades topic tells; waits a while for Kafka and the topic.

    Raises:
        KafkaException: the broker stays away, or refuses this user.
        TopicMissing: the topic is not created in time.
        TailUnreadable: the topic cannot be read.
    """
    tail = kafka.consumer(settings, f"{settings.KAFKA_TOPIC_TRADES}-tail", **{"enable.partition.eof": True})
    delays = backoff(1.0, 5.0)
    try:
        for attempt in range(1, _START_ATTEMPTS + 1):
            state.beat()
            try:
                sent = await asyncio.to_thread(
                    read_sent_ids, tail, settings.KAFKA_TOPIC_TRADES, settings.SYMBOLS, settings.TAIL_SCAN_RECORDS, stop
                )
            except (KafkaException, TopicMissing) as error:
                refused = isinstance(error, KafkaException) and error.args[0].code() in kafka.REFUSED
                if refused or attempt == _START_ATTEMPTS:
                    raise
                log.warning("kafka_not_ready", cause=str(error), attempt=attempt, next="check KAFKA_*; tried again")
            else:
                log.info("resuming", after={symbol: ids.last for symbol, ids in sent.items()})
                return sent
            if await asyncio.to_thread(stop.wait, next(delays)):
                return {}
    finally:
        tail.close()
    raise AssertionError("the last attempt returns or raises")


def give_up(error: Exception, log: BoundLogger) -> int:
    """Log why the producer ends and what to do; return its exit code."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ExchangeError():
            log.error("gave_up", error=str(error), next="do what the error says, then start again")
        case KafkaException() | TopicMissing() | TailUnreadable():
            log.error("gave_up", error=str(error), next="check KAFKA_* and this user's rights, then start again")
        case _:
            log.error(
                "gave_up", exc_info=error, next="mend the cause above and start again; missing trades are repaired"
            )
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
