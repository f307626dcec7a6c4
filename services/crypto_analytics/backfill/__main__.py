"""Run ``python -m crypto_analytics.backfill``: fetch the closed klines of the last days that ``raw_klines`` lacks.

The newest ten minutes in the table are always fetched again, with one request per symbol: a clock that was ahead may
have stored them too early.

Before that, the symbols of SYMBOLS are marked as followed in the table ``symbols``, and all others as retired: their
data are kept, and no new data are expected.

Exit codes: 0 done, 1 failed (also if the exchange refuses a symbol), 2 wrong settings, 143 stopped by a signal.
The next run resumes an interrupted one.
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
        log.error(
            "backfill_failed",
            error=str(error),
            next="correct the cause that the error names and run it again; it resumes",
        )
        return 1
    except psycopg.Error as error:
        log.error("backfill_failed", error=str(error), next="check POSTGRES_* and run it again; it resumes")
        return 1
    return finish(summary, log, complete=complete)


async def run(settings: BackfillSettings, days: int, state: health.Health, stop: Event) -> tuple[BackfillSummary, bool]:
    """Fetch the missing klines until ``stop``; return the totals, and whether the run is complete."""
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
    """Log the totals of the run as the last line; return the exit code."""
    totals = {
        "klines_fetched": summary.fetched,
        "klines_written": summary.written,
        "minutes_without_kline": summary.absent,
        "requests": summary.requests,
    }
    if not complete:
        log.warning("backfill_interrupted", **totals, next="run it again; it resumes")
        return INTERRUPTED
    if summary.refused:
        log.error(
            "backfill_failed", **totals, refused=summary.refused, next="correct SYMBOLS and run it again; it resumes"
        )
        return 1
    log.info("backfill_finished", **totals)
    return 0


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return days


if __name__ == "__main__":
    raise SystemExit(main())
