"""Create the databases of other programs on the same server. Each has a role of its own; no other role may connect."""

import psycopg
from psycopg import sql

from crypto_analytics.jobs.migrate.migrations import set_password


def ensure(connection: psycopg.Connection, name: str, password: str) -> bool:
    """Create the database ``name`` with an owner of the same name where they are missing; return whether it is new.

    Also sets the owner's password and revokes the connect privilege of all other roles. Idempotent. The connection must
    be in autocommit mode, its role must have CREATEDB and CREATEROLE.

    Raises:
        psycopg.Error: the role of the connection lacks a privilege.
    """
    identifier = sql.Identifier(name)
    if not connection.execute("select from pg_roles where rolname = %s", [name]).rowcount:
        connection.execute(sql.SQL("create role {} login").format(identifier))
    set_password(connection, name, password)
    is_new = not connection.execute("select from pg_database where datname = %s", [name]).rowcount
    if is_new:
        # A managed server gives no superuser: the creator of a database must be a member of the role that owns it.
        connection.execute(sql.SQL("grant {} to current_user").format(identifier))
        connection.execute(sql.SQL("create database {} owner {}").format(identifier, identifier))
    connection.execute(sql.SQL("revoke all on database {} from public").format(identifier))
    return is_new
