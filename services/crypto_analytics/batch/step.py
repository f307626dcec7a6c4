"""Run ``python -m crypto_analytics.batch.step NAME``: one step of the batch in its own container, under the lock.

Airflow's pods and Compose's containers run it; ``python -m crypto_analytics.batch`` holds the same lock over all its
steps. Exit codes: that of the step; 1 also if the database is unreachable, 3 if another run still holds the lock, 143
stopped by a signal.

It needs the standard library and a PostgreSQL driver: psycopg in the services' images, psycopg2 in those of dbt and the
gate.
"""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from crypto_analytics.batch.advisory_lock import AlreadyRunning, Database, batch_lock
from crypto_analytics.batch.runner import Runner
from crypto_analytics.batch.step_definitions import STEPS, Step
from crypto_analytics.runtime.shutdown import stop_event

ALREADY_RUNNING = 3
INTERRUPTED = 143
WAIT_SECONDS = 120.0  # for the lock; each retry of the step waits again


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m crypto_analytics.batch.step", description=__doc__)
    parser.add_argument("name", choices=[step.name for step in STEPS], metavar="NAME", help="name of the step")
    name = parser.parse_args().name
    [step] = [step for step in STEPS if step.name == name]
    return run(step, database(os.environ), os.environ, stop_event())


def run(step: Step, where: Database, env: Mapping[str, str], stop: threading.Event, wait: float = WAIT_SECONDS) -> int:
    """Run ``step`` once in the working directory while the lock is held; return the exit code."""
    try:
        with batch_lock(where, wait=wait, stop=stop) as problem:
            runner = Runner(Path.cwd(), stop, retries=0, waits=_no_waits, problem=problem)
            result = runner.run(step, step.command, env)
    except AlreadyRunning:
        if stop.is_set():
            return INTERRUPTED
        _print_error(
            step, f"another batch run, or a step of one, still held the lock after {wait:.0f} s; try again later"
        )
        return ALREADY_RUNNING
    except where.error as error:
        _print_error(
            step, f"the database is unreachable: {' '.join(str(error).split())}; check POSTGRES_* and run it again"
        )
        return 1
    if not result.succeeded:
        _print_error(step, f"failed: {result.reason}")
    return result.exit_code if result.exit_code >= 0 else 128 - result.exit_code


def database(env: Mapping[str, str]) -> Database:
    """Return how to connect to the database of the settings POSTGRES_*, with the driver of this environment."""
    login: dict[str, Any] = {
        "host": env.get("POSTGRES_HOST") or "127.0.0.1",
        "port": env.get("POSTGRES_PORT") or "5432",
        "dbname": env.get("POSTGRES_DB") or "crypto_analytics",
        "user": env.get("POSTGRES_USER", ""),
        "password": env.get("POSTGRES_PASSWORD", ""),
        "sslmode": env.get("POSTGRES_SSLMODE") or "prefer",
        "application_name": "batch",
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    connect, error = _driver()
    return Database(lambda: connect(**login), error)


def _driver() -> tuple[Callable[..., Any], type[Exception]]:
    try:
        import psycopg  # noqa: PLC0415  # an image has only one of the two drivers
    except ModuleNotFoundError:
        import psycopg2  # type: ignore[import-untyped]  # noqa: PLC0415

        def connect(**login: Any) -> Any:
            session = psycopg2.connect(**login)
            session.autocommit = True
            return session

        return connect, psycopg2.Error
    return lambda **login: psycopg.connect(**login, autocommit=True), psycopg.Error


def _no_waits() -> Iterator[float]:
    yield from ()


def _print_error(step: Step, reason: str) -> None:
    print(f"batch: {step.name}: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
