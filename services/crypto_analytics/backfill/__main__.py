"""Run ``python -m crypto_analytics.backfill``: fetch the last days' closed klines that ``raw_klines`` does not hold.

The newest ten minutes that it holds are always read again, one cheap request a symbol: they may have been stored too
early by a clock that was ahead.

Before that the symbols of SYMBOLS are marked followed in the table ``symbols``, and all others retired: their data are
kept, and nothing expects new ones.

Exit codes: 0 done, 1 failed (also where the exchange refuses a symbol), 2 wrong settings, 143 stopped by a signal.
Running it again resumes.
"""

import argparse
import asyncio
import sys
from contextlib import suppress
from threading import Event

import psycopg
from structlog.stdlib import BoundLogger

from crypto_analytics.backfill.progress_reporter import progress_reporter
from crypto_analytics.backfill.service import Backfill, BackfillSummary, MisalignedKline
from crypto_analytics.backfill.settings import BackfillSettings
from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.rest import BinanceRest
from crypto_analytics.runtime import health, logs, shutdown
from crypto_analytics.runtime.clock import clock_for
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres

INTERRUPTED = 143
_STOP_SECONDS = 0.1


def main() -> int:
    """Return the exit code of a run."""
    parser = command_line("backfill", __doc__, BackfillSettings)
    parser.add_argument("--days", type=_days, help="days back from now (default: BACKFILL_DAYS)")
    arguments = parser.parse_args()
    settings = load(BackfillSettings, "backfill")
    log = logs.setup("backfill", settings)
    stop = shutdown.stop_event()
    state = health.Health()
    port = health.serve(settings.METRICS_HOST, settings.METRICS_PORT, state)
    log.info("listening", metrics_port=port)
    try:
        summary, complete = asyncio.run(run(settings, arguments.days or settings.BACKFILL_DAYS, state, stop))
    except (ExchangeError, MisalignedKline) as error:
        log.error("failed", error=str(error), next="do what the error says and run it again; it resumes")
        return 1
    except psycopg.Error as error:
        log.error("failed", error=str(error), next="check POSTGRES_* and the database and run it again; it resumes")
        return 1
    return finish(summary, log, complete=complete)


async def run(settings: BackfillSettings, days: int, state: health.Health, stop: Event) -> tuple[BackfillSummary, bool]:
    """Fetch what is missing until ``stop``; return what was done, and whether that is all."""
    rest = BinanceRest(
        str(settings.BINANCE_REST_URL),
        weight_limit=settings.BINANCE_WEIGHT_LIMIT,
        timeout=settings.BINANCE_TIMEOUT_SECONDS,
    )
    with progress_reporter(terminal=sys.stderr.isatty()) as progress:
        async with rest:
            backfill = Backfill(
                rest, lambda: postgres.connect(settings, "backfill"), clock_for(settings.AS_OF), progress
            )
            work = asyncio.create_task(backfill.run(settings.SYMBOLS, days))
            state.ready = True
            while not work.done() and not stop.is_set():
                state.beat()
                await asyncio.wait({work}, timeout=_STOP_SECONDS)
            complete = work.done()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            return backfill.summary, complete


def finish(summary: BackfillSummary, log: BoundLogger, *, complete: bool) -> int:
    """Log what the run did as the last line; return the exit code."""
    did = {
        "klines_fetched": summary.fetched,
        "klines_written": summary.written,
        "minutes_without_kline": summary.absent,
        "requests": summary.requests,
    }
    if not complete:
        log.warning("interrupted", **did, next="run it again; it resumes")
        return INTERRUPTED
    if summary.refused:
        log.error("failed", **did, refused=summary.refused, next="correct SYMBOLS and run it again; it resumes")
        return 1
    log.info("done", **did)
    return 0


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return days


if __name__ == "__main__":
    raise SystemExit(main())
