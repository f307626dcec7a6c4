"""Run ``python -m crypto_analytics.exporter``: write the changed partitions of silver, gold and raw trades to the lake.

Exit codes: 0 done, 1 failed, 2 wrong settings, 143 stopped by a signal. The next run writes the rest.
"""

from threading import Event

import psycopg
from structlog.stdlib import BoundLogger

from crypto_analytics.core.minutes import to_datetime
from crypto_analytics.exporter import candles, trades
from crypto_analytics.exporter.settings import ExporterSettings
from crypto_analytics.runtime import health, logs, shutdown
from crypto_analytics.runtime.clock import clock_for
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import ObjectStore, open_store

INTERRUPTED = 143


def main() -> int:
    """Return the exit code of a run."""
    parser = command_line("exporter", __doc__, ExporterSettings)
    parser.parse_args()
    settings = load(ExporterSettings, "exporter")
    log = logs.setup("exporter", settings)
    stop = shutdown.stop_event()
    state = health.Health()
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    try:
        run(settings, open_store(settings), stop, state, log)
    except psycopg.errors.UndefinedTable as error:
        log.error("export_failed", error=str(error), next="build the tables first: run the batch, or dbt")
        return 1
    except Exception:
        log.exception("export_failed", next="check POSTGRES_*, OBJECT_STORE* and S3_*, then run it again; it resumes")
        return 1
    if stop.is_set():
        log.warning("export_interrupted", next="run it again; it resumes")
        return INTERRUPTED
    log.info("export_finished")
    return 0


def run(settings: ExporterSettings, store: ObjectStore, stop: Event, state: health.Health, log: BoundLogger) -> None:
    """Bring the lake up to date, table by table, until ``stop``."""
    state.ready = True
    with postgres.connect(settings, "exporter") as connection:
        layers = ((settings.BUCKET_SILVER, candles.SILVER), (settings.BUCKET_GOLD, candles.GOLD))
        for bucket, tables in layers:
            for table in tables:
                done = candles.export(connection, store, bucket, table, stop)
                log.info("table_exported", bucket=bucket, table=table.name, **done._asdict())
                state.beat()
        done = trades.export(
            connection,
            RawArchive(store, settings.BUCKET_RAW),
            settings.BUCKET_BRONZE,
            stop,
            now=to_datetime(clock_for(settings.AS_OF)()),
            days=settings.EXPORT_RAW_DAYS,
            batch_trades=settings.LAKE_BATCH_TRADES,
        )
        log.info("table_exported", bucket=settings.BUCKET_BRONZE, table=trades.TABLE, **done._asdict())


if __name__ == "__main__":
    raise SystemExit(main())
