"""Which files prepared Superset's database last: written by prepare.py, read by the server before it starts."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection

FOLDER = Path(__file__).parent


def fingerprint(folder: Path = FOLDER) -> str:
    """Return a hash of what a preparation depends on: Superset's version, prepare.py and the assets."""
    digest = hashlib.sha256(version("apache-superset").encode())
    for path in (folder / "prepare.py", *sorted((folder / "assets").rglob("*.yaml"))):
        digest.update(f"\n{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def record(connection: Connection, value: str) -> None:
    """Store the fingerprint ``value`` of a finished preparation, in place of the previous one."""
    connection.execute(text("create table if not exists platform_preparation (fingerprint text not null)"))
    connection.execute(text("delete from platform_preparation"))
    connection.execute(text("insert into platform_preparation values (:value)"), {"value": value})


def recorded(connection: Connection) -> str | None:
    """Return the fingerprint of the last finished preparation, or None if there was none."""
    if connection.execute(text("select to_regclass('platform_preparation')")).scalar() is None:
        return None
    value: str | None = connection.execute(text("select fingerprint from platform_preparation")).scalar()
    return value
