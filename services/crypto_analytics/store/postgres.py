"""Connections to PostgreSQL, and which of its errors are worth another try."""

import psycopg

from crypto_analytics.runtime.settings import PostgresSettings


class LoginRefused(psycopg.OperationalError):
    """The server answered and will not have this login: no retry mends that."""


# libpq reports no SQLSTATE for a connection that failed, only the server's words.
_REFUSALS = ("password authentication failed", "does not exist", "no pg_hba.conf entry", "is not permitted to log in")


def connect(settings: PostgresSettings, application_name: str, *, autocommit: bool = True) -> psycopg.Connection:
    """Return a connection; transactions are explicit (``with connection.transaction()``).

    Raises:
        LoginRefused: user, password or database is wrong.
        psycopg.OperationalError: the server is away.
    """
    try:
        return _connect(settings, application_name, autocommit=autocommit)
    except psycopg.OperationalError as error:
        if "FATAL:" in str(error) and any(words in str(error) for words in _REFUSALS):
            raise LoginRefused(f"{str(error).strip()}: check POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB") from error
        raise


def _connect(settings: PostgresSettings, application_name: str, *, autocommit: bool) -> psycopg.Connection:
    return psycopg.connect(
        host=settings.POSTGRES_HOST,
        port=settings.POSTGRES_PORT,
        dbname=settings.POSTGRES_DB,
        user=settings.POSTGRES_USER,
        password=settings.POSTGRES_PASSWORD.get_secret_value(),
        sslmode=settings.POSTGRES_SSLMODE,
        application_name=application_name,
        autocommit=autocommit,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
        options="-c timezone=UTC",
    )


def is_retryable(error: BaseException) -> bool:
    """Whether the same work may succeed on a new connection.

    The server away or restarting, an administrator's stop, a deadlock, a serialisation failure, a lock or statement
    time-out and a full disk may pass. A refused login, a missing table or a broken constraint will not.
    """
    match error:
        case LoginRefused():
            return False
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return True
        case psycopg.errors.IdleInTransactionSessionTimeout():
            return True
        case _:
            return False
