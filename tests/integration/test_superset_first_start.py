"""Superset's server and its preparation start together, as on Kubernetes, before the database exists."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ops.common.loopback import LOOPBACK, free_port
from ops.local import superset
from ops.local.programs import Program
from tests.servers import Servers

pytestmark = [pytest.mark.bi, pytest.mark.timeout(300)]

PASSWORDS = ("SUPERSET_PASSWORD", "READER_PASSWORD", "SUPERSET_ADMIN_PASSWORD", "SUPERSET_SECRET_KEY")


@pytest.fixture
def settings(private_servers: Servers, tmp_path: Path) -> dict[str, str]:
    """Return Superset's settings for a server on which neither its role nor its database exists."""
    server = private_servers.postgres()
    address = {"POSTGRES_HOST": LOOPBACK, "POSTGRES_PORT": str(server.port), "SUPERSET_HOME": str(tmp_path / "home")}
    return address | {name: f"{name}-of-the-test" for name in PASSWORDS}


def _create_database(servers: Servers, password: str) -> None:
    with psycopg.connect(servers.postgres().conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("create role superset login password {}").format(password))
        connection.execute("create database superset owner superset")


def _started(program: Program) -> subprocess.Popen[str]:
    return subprocess.Popen(program.command, env=program.env, cwd=program.folder, stdout=subprocess.PIPE, text=True)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def test_the_server_waits_for_its_preparation(private_servers: Servers, settings: Mapping[str, str]) -> None:
    """Both create tables that are missing: at the same time the server ended with exit code 3."""
    port = free_port()
    server = _started(superset.server(settings, port))
    try:
        assert "waiting: no connection to PostgreSQL" in next(_lines(server))
        _create_database(private_servers, settings["SUPERSET_PASSWORD"])
        assert "waiting: superset-prepare has not finished" in next(_lines(server))
        preparation = superset.preparation(settings)
        private_servers.supervisor.start(preparation)
        assert private_servers.supervisor.finish(preparation.name, superset.PREPARE_SECONDS) == 0
        assert "the database is prepared" in next(_lines(server))
        private_servers.supervisor.wait_until(lambda: superset.is_healthy(port), 120, "the server is not healthy")
    finally:
        server.terminate()
        assert server.wait(60) == 0


def test_a_waiting_server_stops_at_once(settings: Mapping[str, str]) -> None:
    server = _started(superset.server(settings, free_port()))
    assert "waiting" in next(_lines(server))
    server.terminate()
    assert server.wait(5) == 0
