"""Run ``python -m crypto_analytics.spark_candles``: trades from Kafka become candles, by Spark.

The same answer as ``crypto_analytics.consumer``, bit for bit, spread over Spark's executors. Also the main file of a
SparkApplication, or of spark-submit.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from confluent_kafka import KafkaException
from pyspark.errors import StreamingQueryException
from structlog.stdlib import BoundLogger

from crypto_analytics.runtime import health, logs, shutdown
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.spark_candles import query
from crypto_analytics.spark_candles.group_offsets import Position
from crypto_analytics.spark_candles.service import QueryService
from crypto_analytics.spark_candles.session import open_session
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.lag import open_watch
from crypto_analytics.streaming.merger import trade_rules


def main() -> int:
    """Return 0 after a stop by signal, 1 where the job had to give up."""
    parser = command_line("spark_candles", __doc__, SparkCandlesSettings)
    parser.parse_args()
    settings = load(SparkCandlesSettings, "spark_candles")
    log = logs.setup("spark_candles", settings)
    stop = shutdown.stop_event()
    state = health.Health(stale_after_seconds=120.0)  # the start of Spark included
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    try:
        run(settings, stop, state, log)
    except KafkaException as error:
        log.error("gave_up", error=str(error), next="check KAFKA_* settings and this user's rights, then start again")
        return 1
    except StreamingQueryException as error:
        log.error("gave_up", error=str(error), next="mend the cause and start again; nothing is lost, no offset moved")
        return 1
    except Exception:
        log.exception("gave_up", next="mend the cause above and start again; nothing is lost, no offset moved")
        return 1
    log.info("stopped")
    return 0


def run(settings: SparkCandlesSettings, stop: Event, state: health.Health, log: BoundLogger) -> None:
    """Run the query until ``stop``.

    Raises:
        Exception: it cannot go on.
    """
    position, backlog = Position(settings, log), Backlog()
    try:
        offsets = position.start(stop, state.beat)
        if stop.is_set():
            return
        log.info("resuming", offsets=offsets)
        session = open_session(settings)
        try:
            if stop.is_set():
                return  # the stop came while Spark started
            watch = open_watch(settings, backlog, trade_rules(settings), log, whole_topic=True)
            with watch, scratch_folder(settings.SPARK_CHECKPOINT_DIR) as checkpoint:
                running = query.start(session, settings, str(checkpoint), offsets, position=position, backlog=backlog)
                QueryService(running, position, stop=stop, health=state, log=log).run()
        finally:
            session.stop()
    finally:
        position.close()
    position.check()  # the answer to the last commit came while the client was closed


@contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """Yield a new folder below ``parent``, without those that earlier runs left there."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob("candles-*"):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="candles-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    shutdown.end_process(main())
