"""Run ``python -m crypto_analytics.batch``: the steps from klines to the lake, each in its own environment.

Exit codes: 0 done, 1 a step failed finally, 2 wrong settings or arguments, 3 another batch run goes on, 143 stopped.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import psycopg
from structlog.stdlib import BoundLogger

from crypto_analytics.batch import summary, webhook
from crypto_analytics.batch.advisory_lock import AlreadyRunning, Database, batch_lock
from crypto_analytics.batch.runner import Runner, StepResult
from crypto_analytics.batch.settings import BatchSettings
from crypto_analytics.batch.steps import STEPS, Step, select
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store.postgres import connect

GOES_ON = 3
INTERRUPTED = 143
_LONGEST_PAUSE = 60.0


def main() -> int:
    """Return the exit code of a run."""
    arguments = _parser().parse_args()
    if arguments.list:
        for step in STEPS:
            print(f"{step.name:<16} {step.component:<9} {step.role:<12} {' '.join(step.command)}")
        return 0
    settings = load(BatchSettings, "batch")
    log = logs.setup("batch", settings)
    stop = shutdown.stop_event()
    if arguments.report:
        arguments.report.unlink(missing_ok=True)  # whoever reads it must not take the last run for this one
    try:
        with batch_lock(Database(lambda: connect(settings.reader(), "batch"), psycopg.Error)) as problem:
            results = run(arguments.steps, settings, stop, problem)
    except AlreadyRunning:
        print("batch: another batch run goes on; wait for its end, then run this again", file=sys.stderr)
        return GOES_ON
    except psycopg.Error as error:
        cause = " ".join(str(error).split())
        print(f"batch: no database: {cause}; check POSTGRES_* and run this again", file=sys.stderr)
        return 1
    if arguments.report:
        arguments.report.write_text(json.dumps(summary.report(results), indent=2) + "\n")
    return finish(results, settings, log, stopped=stop.is_set())


def run(
    steps: tuple[Step, ...], settings: BatchSettings, stop: Event, problem: Callable[[], str] = str
) -> list[StepResult]:
    """Run ``steps`` up to the first that fails finally, or until ``stop``; return how they went.

    ``problem()`` returns why no step may run, no text where one may.
    """
    runner = Runner(
        settings.BATCH_PROJECT_DIR,
        stop,
        retries=settings.BATCH_RETRIES,
        pauses=lambda: backoff(settings.BATCH_RETRY_SECONDS, _LONGEST_PAUSE),
        problem=problem,
    )
    results: list[StepResult] = []
    for step in steps:
        if stop.is_set():
            break
        results.append(runner.run(step, settings.command(step), settings.environment(step)))
        if not results[-1].succeeded:
            break
    return results


def finish(results: list[StepResult], settings: BatchSettings, log: BoundLogger, *, stopped: bool) -> int:
    """Tell how the run went, the failure last; return the exit code."""
    print(summary.table(results), flush=True)
    if stopped:
        log.warning("interrupted", next="run it again; every step resumes or repeats harmlessly")
        return INTERRUPTED
    failed = next((result for result in results if not result.succeeded), None)
    if failed is None:
        return 0
    _alert(failed, settings.ALERT_WEBHOOK_URL.get_secret_value(), log)
    print(summary.failure(failed), file=sys.stderr)
    return 1


def _alert(failed: StepResult, url: str, log: BoundLogger) -> None:
    """Tell the webhook. That it cannot be told is logged without its address, which is a secret."""
    if not url:
        return
    try:
        webhook.tell(url, summary.alert(failed, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"))
    except webhook.NotTold as error:
        log.error("alert_failed", error=str(error), next="check ALERT_WEBHOOK_URL")


def _parser() -> argparse.ArgumentParser:
    parser = command_line("batch", __doc__, BatchSettings)
    parser.add_argument("--steps", type=_steps, default=STEPS, help="comma-separated steps to run (default: all)")
    parser.add_argument("--list", action="store_true", help="list the steps and their commands, and run nothing")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write seconds, tries and exit codes as JSON")
    return parser


def _steps(names: str) -> tuple[Step, ...]:
    try:
        return select(names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    raise SystemExit(main())
