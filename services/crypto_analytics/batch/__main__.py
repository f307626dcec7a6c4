"""Run ``python -m crypto_analytics.batch``: the steps from the backfill to the lake, each in its own environment.

Exit codes: 0 done, 1 a step failed in all its tries, 2 wrong settings or arguments, 3 another batch run is running,
143 stopped by a signal.
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
from crypto_analytics.batch.step_definitions import STEPS, Step, select
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store.postgres import connect

ALREADY_RUNNING = 3
INTERRUPTED = 143
_LONGEST_WAIT_SECONDS = 60.0


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
        arguments.report.unlink(missing_ok=True)  # so that a failed run leaves no report of an earlier one
    try:
        with batch_lock(Database(lambda: connect(settings.reader(), "batch"), psycopg.Error)) as problem:
            results = run(arguments.steps, settings, stop, problem)
    except AlreadyRunning:
        print("batch: another batch run is running; wait until it ends, then run this again", file=sys.stderr)
        return ALREADY_RUNNING
    except psycopg.Error as error:
        cause = " ".join(str(error).split())
        print(f"batch: the database is unreachable: {cause}; check POSTGRES_* and run this again", file=sys.stderr)
        return 1
    if arguments.report:
        arguments.report.write_text(json.dumps(summary.report(results), indent=2) + "\n")
    return finish(results, settings, log, stopped=stop.is_set())


def run(
    steps: tuple[Step, ...], settings: BatchSettings, stop: Event, problem: Callable[[], str] = str
) -> list[StepResult]:
    """Run ``steps`` until one fails in all its tries or ``stop`` is set; return their results.

    ``problem()`` returns why no step may run now; an empty string if steps may run.
    """
    runner = Runner(
        settings.BATCH_PROJECT_DIR,
        stop,
        retries=settings.BATCH_RETRIES,
        waits=lambda: backoff(settings.BATCH_RETRY_SECONDS, _LONGEST_WAIT_SECONDS),
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
    """Print the summary of the run, a failure last, and send the alert; return the exit code."""
    print(summary.table(results), flush=True)
    if stopped:
        log.warning("batch_interrupted", next="run it again; every step can be repeated")
        return INTERRUPTED
    failed = next((result for result in results if not result.succeeded), None)
    if failed is None:
        return 0
    _alert(failed, settings.ALERT_WEBHOOK_URL.get_secret_value(), log)
    print(summary.failure(failed), file=sys.stderr)
    return 1


def _alert(failed: StepResult, url: str, log: BoundLogger) -> None:
    """Post the alert to the webhook; a failure is logged without the URL, which is a secret."""
    if not url:
        return
    try:
        webhook.post(url, summary.alert(failed, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"))
    except webhook.DeliveryFailed as error:
        log.error("alert_failed", error=str(error), next="check ALERT_WEBHOOK_URL")


def _parser() -> argparse.ArgumentParser:
    parser = command_line("batch", __doc__, BatchSettings)
    parser.add_argument(
        "--steps", type=_steps, default=STEPS, help="names of the steps to run, separated by commas (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="list the steps and their commands without running them")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the seconds, tries and exit code of each step as JSON"
    )
    return parser


def _steps(names: str) -> tuple[Step, ...]:
    try:
        return select(names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    raise SystemExit(main())
