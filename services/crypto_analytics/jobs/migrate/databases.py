"""Databases of other programs on the same server: each with a role of its own, which alone may connect to it."""

import psycopg
from psycopg import sql

from crypto_analytics.jobs.migrate.migrations import set_password


def ensure(connection: psycopg.Connection, name: str, password: str) -> bool:
    """Make the database ``name`` and the role of the same name that owns it; return whether the database is new.

    Harmless to run again: the role gets ``password``, and nobody else may connect, whoever made the two. The connection
    is of a role that may create databases and roles, in autocommit mode.

    Raises:
        psycopg.Error: the role that is logged in may not do this.
    """
    identifier = sql.Identifier(name)
    if not connection.execute("select from pg_roles where rolname = %s", [name]).rowcount:
        connection.execute(sql.SQL("create role {} login").format(identifier))
    set_password(connection, name, password)
    is_new = not connection.execute("select from pg_database where datname = %s", [name]).rowcount
    if is_new:
        # A server that somebody else runs gives no superuser: who makes a database for a role must be a member of it.
        connection.execute(sql.SQL("grant {} to current_user").format(identifier))
        connection.execute(sql.SQL("create database {} owner {}").format(identifier, identifier))
    connection.execute(sql.SQL("revoke all on database {} from public").format(identifier))
    return is_new
