"""Connect to PostgreSQL, and decide which of its errors are retryable."""

from typing import Any

import psycopg

from crypto_analytics.runtime.settings import PostgresSettings


class LoginRefused(psycopg.OperationalError):
    """The server rejected user, password or database; not retryable."""


# libpq reports no SQLSTATE for a failed connection, only the server's message.
_LOGIN_ERRORS = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
)


def connect(settings: PostgresSettings, application_name: str, *, autocommit: bool = True) -> psycopg.Connection:
    """Return a connection; transactions are explicit (``with connection.transaction()``).

    Raises:
        LoginRefused: user, password or database is wrong.
        psycopg.OperationalError: the server is unreachable.
    """
    try:
        return psycopg.connect(**parameters(settings, application_name), autocommit=autocommit)
    except psycopg.OperationalError as error:
        if "FATAL:" in str(error) and any(message in str(error) for message in _LOGIN_ERRORS):
            raise LoginRefused(f"{str(error).strip()}: check POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB") from error
        raise


def parameters(settings: PostgresSettings, application_name: str, options: str = "") -> dict[str, Any]:
    """Return the keyword arguments of ``psycopg.connect`` for ``settings``; ``options`` are more of the server's."""
    return {
        "host": settings.POSTGRES_HOST,
        "port": settings.POSTGRES_PORT,
        "dbname": settings.POSTGRES_DB,
        "user": settings.POSTGRES_USER,
        "password": settings.POSTGRES_PASSWORD.get_secret_value(),
        "sslmode": settings.POSTGRES_SSLMODE,
        "application_name": application_name,
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "options": f"-c timezone=UTC {options}".strip(),
    }


def is_retryable(error: BaseException) -> bool:
    """Return whether the same work may succeed on a new connection. Pure.

    Retryable: an unreachable or restarting server, an administrator's stop, a deadlock, a serialisation failure, a lock
    or statement timeout, a full disk. Not retryable: a rejected login, a missing table, a violated constraint.
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
