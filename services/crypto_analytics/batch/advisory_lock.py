"""Hold the batch's lock, so that the steps of two batch runs on one database never overlap.

It is an advisory lock of a PostgreSQL session and ends with that session: when the process dies, or when the server
restarts. So a thread watches the session while the lock is held. It takes a lost lock again if that is free; if not,
the holder's function returns the problem.

Only the standard library is imported, and the database driver is a parameter, because the images have different ones.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

_KEY = "crypto_analytics.batch"
_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.5
_UNREACHABLE_SECONDS = 30.0
_LOST = "the session of PostgreSQL that held the batch's lock was lost"


class AlreadyRunning(Exception):
    """Another batch run, or a single step, holds the lock."""


class Database(NamedTuple):
    """How to connect: a function that returns a DB-API connection in autocommit mode, and the driver's error class."""

    connect: Callable[[], Any]
    error: type[Exception]


@contextmanager
def batch_lock(
    database: Database,
    *,
    wait: float = 0.0,
    stop: threading.Event | None = None,
    watch_seconds: float = _WATCH_SECONDS,
    out: Callable[[str], None] = lambda line: print(line, flush=True),
) -> Iterator[Callable[[], str]]:
    """Hold the lock; yield a function that returns why it is lost, or an empty string while it is held.

    The session is idle outside any transaction: an open one would hold back the time from which the next dbt run reads
    changes (see ``dbt/macros/incremental_marks.sql``).

    Args:
        database: how to connect.
        wait: seconds to wait for another holder.
        stop: ends the wait when set.
        watch_seconds: seconds between two checks of the session.
        out: takes each message about the lock.

    Raises:
        AlreadyRunning: another run still held the lock after ``wait`` seconds, or when ``stop`` was set.
        Exception: the driver's error, if the database is unreachable.
    """
    session = _acquire(database, wait, stop or threading.Event())
    watch = _Watch(database, session, watch_seconds, out)
    watch.start()
    try:
        yield lambda: watch.problem
    finally:
        watch.release()


def _acquire(database: Database, wait: float, stop: threading.Event) -> Any:
    session = database.connect()
    deadline = time.monotonic() + wait
    try:
        while not _try_lock(session):
            if time.monotonic() >= deadline or stop.wait(_POLL_SECONDS):
                raise AlreadyRunning
    except BaseException:
        session.close()
        raise
    return session


def _try_lock(session: Any) -> bool:
    # Polled, because a session that waits for the lock in the server has an open transaction.
    with session.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [_KEY])
        return bool(cursor.fetchone()[0])


class _Watch(threading.Thread):
    """Watches the session that holds the lock, and takes the lock again after the session was lost."""

    def __init__(self, database: Database, session: Any, seconds: float, out: Callable[[str], None]) -> None:
        super().__init__(name="batch-lock", daemon=True)
        self._database = database
        self._session = session
        self._seconds = seconds
        self._out = out
        self._done = threading.Event()
        self._lost_at: float | None = None
        self.problem = ""

    def run(self) -> None:
        try:
            self._watch()
        except BaseException as error:
            self.problem = f"the thread that watches the batch's lock failed: {error!r}"
            raise

    def _watch(self) -> None:
        while not self._done.wait(self._seconds):
            if self._lost_at is None and self._is_alive():
                continue
            self._lost_at = self._lost_at or time.monotonic()
            self.problem = self._retake()
            if self._session is not None:
                self._lost_at = None

    def _is_alive(self) -> bool:
        """Return whether the session is alive, and so the lock is held."""
        try:
            with self._session.cursor() as cursor:
                cursor.execute("select 1")
        except self._database.error as error:
            self._out(f"batch: {_LOST}: {' '.join(str(error).split())}; it is taken again if it is free")
            self._close()
            return False
        return True

    def _retake(self) -> str:
        """Try to take the lock in a new session; return the problem, or an empty string if there is none (yet)."""
        try:
            self._session = self._database.connect()
            if _try_lock(self._session):
                self._out("batch: the lock is held again")
                return ""
            self._close()
        except self._database.error as error:
            self._close()
            if time.monotonic() - (self._lost_at or 0.0) < _UNREACHABLE_SECONDS:
                return self.problem  # while the server is unreachable, no other run can take the lock either
            return f"{_LOST}, and a new one cannot be opened: {' '.join(str(error).split())}"
        return f"{_LOST}, and another batch run has taken the lock"

    def _close(self) -> None:
        if self._session is not None:
            with suppress(self._database.error):  # the session is closed already
                self._session.close()
            self._session = None

    def release(self) -> None:
        """Release the lock."""
        self._done.set()
        self.join()
        self._close()
