"""A pool of connections to PostgreSQL that can only read, with a time limit for each query."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.store import postgres

_WAIT_SECONDS = 3.0  # for a free connection, and for an answer to a probe
_IDLE_SECONDS = 60.0
_RECONNECT_SECONDS = 10.0  # then the next query begins anew, instead of a backoff that grows for minutes


class StoreUnavailable(Exception):
    """PostgreSQL is unreachable, or all connections are in use for too long."""


class QueryTooSlow(Exception):
    """PostgreSQL cancelled a query at its time limit."""


class Database:
    """Queries of the API, each in a transaction of its own."""

    def __init__(self, settings: ApiSettings) -> None:
        options = (
            f"-c default_transaction_read_only=on -c statement_timeout={int(settings.API_QUERY_SECONDS * 1000)}"
            " -c work_mem=16MB -c jit=off"
        )
        self._pool = AsyncConnectionPool(
            kwargs=postgres.parameters(settings, "api", options) | {"autocommit": True},
            min_size=1,
            max_size=settings.API_POSTGRES_CONNECTIONS,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            max_idle=_IDLE_SECONDS,
            open=False,
            name="api",
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Database"]:
        """Keep the pool open; connections are made in the background, so that PostgreSQL may be away meanwhile."""
        async with self._pool:
            yield self

    async def rows(
        self, query: LiteralString, parameters: Sequence[Any] | dict[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises:
            StoreUnavailable: there is no connection.
            QueryTooSlow: the query took longer than API_QUERY_SECONDS.
            psycopg.errors.UndefinedTable: it reads a table that the batch has not built yet.
        """
        try:
            try:
                return await self._rows(query, parameters)
            except (psycopg.errors.QueryCanceled, PoolTimeout):
                raise
            except psycopg.OperationalError:
                # A restart of PostgreSQL breaks all idle connections. Queries only read, so they can be repeated.
                await self._pool.check()
                return await self._rows(query, parameters)
        except psycopg.errors.QueryCanceled as error:
            raise QueryTooSlow(str(error)) from error
        except psycopg.OperationalError as error:
            raise StoreUnavailable(str(error)) from error

    async def _rows(self, query: LiteralString, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def is_reachable(self) -> bool:
        """Return whether PostgreSQL answers."""
        try:
            await self.rows("select 1")
        except (StoreUnavailable, QueryTooSlow):
            return False
        return True
