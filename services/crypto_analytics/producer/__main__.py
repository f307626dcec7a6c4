"""Run ``python -m crypto_analytics.producer``: the trade stream of the exchange into Kafka, without gaps."""

import asyncio
from threading import Event

from confluent_kafka import KafkaException
from structlog.stdlib import BoundLogger

from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.rest import BinanceRest
from crypto_analytics.binance.trade_decoder import Rules, latest_allowed
from crypto_analytics.binance.trade_stream import TradeStream
from crypto_analytics.producer import service
from crypto_analytics.producer.gap_check import GapCheck
from crypto_analytics.producer.gap_reasons import GapReasons
from crypto_analytics.producer.gap_store import PostgresGaps
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades
from crypto_analytics.producer.settings import ProducerSettings
from crypto_analytics.producer.sink import KafkaSink
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.producer.topic_tail import TailUnreadable, TopicMissing, wait_for_sent_ids
from crypto_analytics.runtime import health, kafka, logs, shutdown
from crypto_analytics.runtime.clock import clock_for
from crypto_analytics.runtime.settings import command_line, load


def main() -> int:
    """Return 0 after a stop by signal, 1 after an error that no retry can fix."""
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
        undelivered = sink.flush(service.seconds_left(stopped_at))
    except Exception as error:  # noqa: BLE001  # logged with its cause: the process ends here
        return give_up(error, log)
    if undelivered:
        log.warning(
            "records_not_delivered", records=undelivered, next="nothing: the next start finds and repairs their gaps"
        )
    log.info("stopped")
    return 0


async def run(
    settings: ProducerSettings, sink: KafkaSink, state: health.Health, stop: Event, log: BoundLogger
) -> float:
    """Read which ids earlier runs sent, then follow the stream until ``stop``; return when (monotonic) it was set."""
    clock = clock_for(settings.AS_OF)
    symbols = frozenset(settings.SYMBOLS)
    rest = BinanceRest(
        str(settings.BINANCE_REST_URL),
        weight_limit=settings.BINANCE_WEIGHT_LIMIT,
        timeout=settings.BINANCE_TIMEOUT_SECONDS,
    )
    async with rest:
        reasons = GapReasons(for_database=settings.checks_gaps)
        listener = StreamListener(
            settings.SYMBOLS,
            sink,
            rest,
            lambda: Rules(symbols, latest_allowed(clock(), settings.MAX_FUTURE_SECONDS)),
            reasons=reasons,
            catch_up_seconds=settings.CATCH_UP_SECONDS,
        )
        listener.resume(await wait_for_sent_ids(settings, state.beat, stop))
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
        repairer = Repairer(listener.ids, rest_trades, sink, lambda: listener.rules, reasons=reasons)
        tasks = [stream.run(), repairer.run(settings.REPAIR_DELAY_SECONDS), sink.pump()]
        if settings.checks_gaps:
            check = GapCheck(PostgresGaps(settings), listener.ids, settings.GAP_CHECK_SECONDS, reasons=reasons)
            await check.resume()
            tasks.append(check.run())
        else:
            log.info(
                "gap_check_disabled", next="to close gaps that outlive a crash, set POSTGRES_USER and GAP_CHECK_SECONDS"
            )
        return await service.run(listener, tasks, health=state, stop=stop)


def give_up(error: Exception, log: BoundLogger) -> int:
    """Log why the producer ends and the next command; return the exit code."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ExchangeError():
            log.error("gave_up", error=str(error), next="correct the cause that the error names, then start it again")
        case KafkaException() | TopicMissing() | TailUnreadable():
            log.error("gave_up", error=str(error), next="check KAFKA_* and this user's permissions, then start again")
        case _:
            log.error(
                "gave_up", exc_info=error, next="fix the cause above and start again; missing trades are repaired"
            )
    return 1


if __name__ == "__main__":
    shutdown.end_process(main())
