"""Apply plain SQL migrations in the order of their names, each once and in a transaction of its own."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

_LOCK = 7_204_711_895  # key of the advisory lock that lets only one migration job run at a time


class MigrationChanged(Exception):
    """The file of an applied migration was edited. Put the change into a new migration."""


def apply(connection: psycopg.Connection, folder: Path, passwords: Mapping[str, str]) -> list[str]:
    """Apply the missing migrations of ``folder``, set the roles' ``passwords``, and return the applied files' names.

    Idempotent. The connection must be in autocommit mode, its role a superuser or one with CREATEROLE.

    Raises:
        MigrationChanged: an applied file was edited.
        FileNotFoundError: the folder has no migration.
        psycopg.Error: a migration failed and was rolled back; those before it stay applied.
    """
    files = sorted(folder.glob("[0-9]*.sql"))
    if not files:
        raise FileNotFoundError(f"{folder} has no migrations (*.sql): set MIGRATIONS_DIR")
    connection.execute("select pg_advisory_lock(%s)", [_LOCK])
    try:
        connection.execute(
            "create table if not exists schema_migrations ("
            "name text primary key, sha256 text not null, applied_at timestamptz not null default now())"
        )
        applied: dict[str, str] = dict(connection.execute("select name, sha256 from schema_migrations").fetchall())
        done = [file.name for file in files if _apply_one(connection, file, applied.get(file.name))]
        for role, password in passwords.items():
            set_password(connection, role, password)
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
    return done


def _apply_one(connection: psycopg.Connection, file: Path, known_digest: str | None) -> bool:
    text = file.read_text(encoding="utf-8")
    digest = sha256(text.encode()).hexdigest()
    if known_digest is not None:
        if known_digest != digest:
            raise MigrationChanged(f"{file.name} was edited after it was applied: put the change into a new migration")
        return False
    with connection.transaction():
        connection.execute(text.encode())
        connection.execute("insert into schema_migrations (name, sha256) values (%s, %s)", [file.name, digest])
    return True


def set_password(connection: psycopg.Connection, role: str, password: str) -> None:
    """Set a password as its SCRAM verifier, so that the plain text never appears in the server's log."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("alter role {role} password {verifier}").format(
            role=sql.Identifier(role), verifier=sql.Literal(verifier)
        )
    )
