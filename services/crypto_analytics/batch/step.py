"""Run ``python -m crypto_analytics.batch.step NAME``: one step of the batch in its own container, under the lock.

Airflow's pods and Compose's containers run this; ``python -m crypto_analytics.batch`` holds the same lock over all its
steps. Exit codes: the step's own; 1 too where the database is away, 3 another run still holds the lock, 143 stopped.

Only the standard library and a driver of PostgreSQL are needed: psycopg in the services' images, psycopg2 in dbt's
and the gate's.
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
from crypto_analytics.batch.steps import STEPS, Step
from crypto_analytics.runtime.shutdown import stop_event

GOES_ON = 3
INTERRUPTED = 143
WAIT_SECONDS = 120.0  # for the step or the run that holds the lock; a retry waits again


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m crypto_analytics.batch.step", description=__doc__)
    parser.add_argument("name", choices=[step.name for step in STEPS], metavar="NAME", help="the step")
    name = parser.parse_args().name
    [step] = [step for step in STEPS if step.name == name]
    return run(step, database(os.environ), os.environ, stop_event())


def run(step: Step, where: Database, env: Mapping[str, str], stop: threading.Event, wait: float = WAIT_SECONDS) -> int:
    """Run ``step`` once in this folder while the lock is held; return the exit code."""
    try:
        with batch_lock(where, wait=wait, stop=stop) as problem:
            runner = Runner(Path.cwd(), stop, retries=0, pauses=_no_pauses, problem=problem)
            result = runner.run(step, step.command, env)
    except AlreadyRunning:
        if stop.is_set():
            return INTERRUPTED
        _complain(step, f"another batch run, or a step of one, still held the lock after {wait:.0f} s; try again later")
        return GOES_ON
    except where.error as error:
        _complain(step, f"no database: {' '.join(str(error).split())}; check POSTGRES_* and run it again")
        return 1
    if not result.succeeded:
        _complain(step, f"failed: {result.reason}")
    return result.exit_code if result.exit_code >= 0 else 128 - result.exit_code


def database(env: Mapping[str, str]) -> Database:
    """Return the database that the settings POSTGRES_* name, with the driver that this environment has."""
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
        import psycopg  # noqa: PLC0415  # only one of the two is there
    except ModuleNotFoundError:
        import psycopg2  # type: ignore[import-untyped]  # noqa: PLC0415

        def connect(**login: Any) -> Any:
            session = psycopg2.connect(**login)
            session.autocommit = True
            return session

        return connect, psycopg2.Error
    return lambda **login: psycopg.connect(**login, autocommit=True), psycopg.Error


def _no_pauses() -> Iterator[float]:
    yield from ()


def _complain(step: Step, why: str) -> None:
    print(f"batch: {step.name}: {why}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
