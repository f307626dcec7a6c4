"""Start Superset's server on a prepared database: ``python serve.py --bind=0.0.0.0:8088``, with gunicorn's arguments.

At its start, Superset creates missing tables. On Kubernetes server and prepare.py start together, and one of two that
create tables at once fails. So the server waits until prepare.py of the same files has finished, and at a later start
until PostgreSQL answers. It waits without a limit: the startup probe has one.
"""

import os
import signal
import sys
import time

from preparation import fingerprint, recorded
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from superset_config import SQLALCHEMY_DATABASE_URI

POLL_SECONDS = 1.0
ARGUMENTS = ("--workers=1", "--worker-class=gthread", "--threads=8", "--timeout=120", "superset.app:create_app()")


def cause_to_wait(wanted: str) -> str | None:
    """Return why the server cannot start yet, or None if it can."""
    engine = create_engine(SQLALCHEMY_DATABASE_URI, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            found = recorded(connection)
    except OperationalError as error:
        return f"no connection to PostgreSQL: {' '.join(str(error.orig).split())}"
    if found == wanted:
        return None
    return "superset-prepare has not finished for this version; next, if that lasts: read its log"


def main() -> None:
    """Wait, then become gunicorn."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default action
    wanted, logged = fingerprint(), None
    while cause := cause_to_wait(wanted):
        if cause != logged:
            print(f"superset: waiting: {cause}", flush=True)
            logged = cause
        time.sleep(POLL_SECONDS)
    print("superset: the database is prepared", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[1:], *ARGUMENTS])  # noqa: S606  # needs no shell


if __name__ == "__main__":
    main()
