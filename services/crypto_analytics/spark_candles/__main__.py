"""Run ``python -m crypto_analytics.spark_candles``: merge trades from Kafka into candles with Spark.

Gives exactly the same candles as ``crypto_analytics.consumer``, on Spark's executors. It is also the main file of a
SparkApplication and of spark-submit.
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
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.spark_candles.service import QueryService
from crypto_analytics.spark_candles.session import open_session
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.lag import open_lag_monitor
from crypto_analytics.streaming.merger import trade_rules


def main() -> int:
    """Return 0 after a stop by signal, 1 after an error that no retry can fix."""
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
        log.error("gave_up", error=str(error), next="check KAFKA_* and this user's permissions, then start again")
        return 1
    except StreamingQueryException as error:
        log.error(
            "gave_up",
            error=str(error),
            next="fix the cause and start again; no uncommitted record is lost",
        )
        return 1
    except Exception:
        log.exception("gave_up", next="fix the cause above and start again; no uncommitted record is lost")
        return 1
    log.info("stopped")
    return 0


def run(settings: SparkCandlesSettings, stop: Event, state: health.Health, log: BoundLogger) -> None:
    """Run the query until ``stop``.

    Raises:
        Exception: the query failed.
    """
    group_offsets, backlog = GroupOffsets(settings, log), Backlog()
    try:
        offsets = group_offsets.start(stop, state.beat)
        if stop.is_set():
            return
        log.info("offsets_read", offsets=offsets)
        session = open_session(settings)
        try:
            if stop.is_set():
                return  # stopped while Spark started
            lag_monitor = open_lag_monitor(settings, backlog, trade_rules(settings), log, whole_topic=True)
            with lag_monitor, scratch_folder(settings.SPARK_CHECKPOINT_DIR) as checkpoint:
                running = query.start(
                    session, settings, str(checkpoint), offsets, group_offsets=group_offsets, backlog=backlog
                )
                executor_check = query.check_executors(session)
                QueryService(running, group_offsets, executor_check, stop=stop, health=state, log=log).run()
        finally:
            session.stop()
    finally:
        group_offsets.close()
    group_offsets.check()  # the result of the last commit arrived while the client was closed


@contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """Yield a new folder in ``parent``, after removing the folders of earlier runs."""
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
