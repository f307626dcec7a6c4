"""The databases of Airflow and Superset."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from crypto_analytics.jobs.migrate import databases
from tests.servers import Database

NAME = "guest"


@pytest.fixture
def maker(postgres: Database) -> Iterator[str]:
    """Yield a role that may create roles and databases but is no superuser, as on a managed server."""
    with postgres.connect() as connection:
        connection.execute("create role maker login createdb createrole")
        connection.execute(sql.SQL("alter role maker password {}").format(postgres.passwords["reader"]))
        try:
            yield "maker"
        finally:
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(NAME)))
            connection.execute(sql.SQL("drop role if exists {}, maker").format(sql.Identifier(NAME)))


def login(postgres: Database, database: str, user: str, password: str) -> psycopg.Connection:
    return psycopg.connect(
        host=postgres.host, port=postgres.port, dbname=database, user=user, password=password, autocommit=True
    )


def test_airflow_and_superset_own_their_databases_and_cannot_read_the_platforms(postgres: Database, maker: str) -> None:
    with login(postgres, postgres.database, maker, postgres.passwords["reader"]) as connection:
        assert databases.ensure(connection, NAME, "one")
        assert not databases.ensure(connection, NAME, "two")
    with login(postgres, NAME, NAME, "two") as connection:
        connection.execute("create table own (id int)")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        login(postgres, NAME, NAME, "one")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        login(postgres, NAME, "reader", postgres.passwords["reader"])
    with login(postgres, postgres.database, NAME, "two") as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute("select from public.fact_realtime_trades_1m")
    assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege)
