"""Two batch runs on one database never overlap: whoever runs holds an advisory lock, which ends with its connection."""

from collections.abc import Iterator
from contextlib import contextmanager

from crypto_analytics.runtime.settings import PostgresSettings
from crypto_analytics.store.postgres import connect

_KEY = "crypto_analytics.batch"


class AlreadyRunning(Exception):
    """Another batch run holds the lock."""


@contextmanager
def batch_lock(settings: PostgresSettings) -> Iterator[None]:
    """Hold the lock.

    The connection is idle meanwhile, outside any transaction: an open one would hold back the models' change marks.

    Raises:
        AlreadyRunning: somebody else holds it.
        psycopg.OperationalError: the database cannot be reached.
    """
    with connect(settings, "batch") as connection:
        row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [_KEY]).fetchone()
        if row != (True,):
            raise AlreadyRunning
        yield
