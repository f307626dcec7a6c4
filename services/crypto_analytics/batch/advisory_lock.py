"""The batch's lock: steps of two batch runs on one database never overlap.

It is an advisory lock of a PostgreSQL session, and ends with that session: when its process dies, and when the server
restarts. A thread therefore watches the session while the lock is held. A lock that was lost is taken again where it
is free, and its holder is told where it is not.

Only the standard library is imported, and the driver is handed in: each image has another one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

_KEY = "crypto_analytics.batch"
_WATCH_SECONDS = 1.0
_ASK_SECONDS = 0.5
_AWAY_SECONDS = 30.0
_LOST = "the session of PostgreSQL that held the batch's lock was lost"


class AlreadyRunning(Exception):
    """Another batch run, or a step of one, holds the lock."""


class Database(NamedTuple):
    """How to open a session in autocommit mode (a DB-API connection), and what the driver raises when that fails."""

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
    """Hold the lock; yield a function that returns why it is not held any more, and no text while it is.

    The session is idle, outside any transaction: an open one would hold back the models' change marks.

    Raises:
        AlreadyRunning: another run holds it, and still did after ``wait`` seconds, or when ``stop`` was set.
        Exception: the driver's, where the database cannot be reached.
    """
    session = _taken(database, wait, stop or threading.Event())
    watch = _Watch(database, session, watch_seconds, out)
    watch.start()
    try:
        yield lambda: watch.problem
    finally:
        watch.end()


def _taken(database: Database, wait: float, stop: threading.Event) -> Any:
    session = database.connect()
    deadline = time.monotonic() + wait
    try:
        while not _take(session):
            if time.monotonic() >= deadline or stop.wait(_ASK_SECONDS):
                raise AlreadyRunning
    except BaseException:
        session.close()
        raise
    return session


def _take(session: Any) -> bool:
    # Asking again and again, because a session that waits in the server has an open transaction.
    with session.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [_KEY])
        return bool(cursor.fetchone()[0])


class _Watch(threading.Thread):
    """Looks after the session that holds the lock."""

    def __init__(self, database: Database, session: Any, seconds: float, out: Callable[[str], None]) -> None:
        super().__init__(name="lock", daemon=True)
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
            self.problem = f"the batch's lock is not watched any more: {error!r}"
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
        """Whether the session goes on: the lock lasts exactly as long."""
        try:
            with self._session.cursor() as cursor:
                cursor.execute("select 1")
        except self._database.error as error:
            self._out(f"batch: {_LOST}: {' '.join(str(error).split())}; it is taken again where it is free")
            self._close()
            return False
        return True

    def _retake(self) -> str:
        """Try to take the lock in a new session; return why it is not held, no text where it is or may yet be."""
        try:
            self._session = self._database.connect()
            if _take(self._session):
                self._out("batch: the lock is held again")
                return ""
            self._close()
        except self._database.error as error:
            self._close()
            if time.monotonic() - (self._lost_at or 0.0) < _AWAY_SECONDS:
                return self.problem  # while the server is away nobody holds the lock
            return f"{_LOST}, and cannot be opened again: {' '.join(str(error).split())}"
        return f"{_LOST}, and another batch run has taken the lock"

    def _close(self) -> None:
        if self._session is not None:
            with suppress(self._database.error):  # it is gone already
                self._session.close()
            self._session = None

    def end(self) -> None:
        """Give the lock back."""
        self._done.set()
        self.join()
        self._close()
