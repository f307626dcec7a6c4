"""Start the servers that the tests share, and return their addresses, logins and settings."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from pydantic import SecretStr

from crypto_analytics.jobs.migrate import migrations
from crypto_analytics.runtime.settings import KafkaSettings, PostgresSettings
from crypto_analytics.store.postgres import connect
from ops.common import child_environment, loopback
from ops.common.loopback import LOOPBACK, free_port
from ops.local import kafka, postgres, topics
from ops.local.programs import Program
from ops.local.supervisor import Supervisor
from ops.setup import jars
from ops.setup.environments import python_of

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = ROOT / "migrations"
ROLES = ("writer", "transformer", "gate", "producer", "reader")


@dataclass(frozen=True)
class Database:
    """A migrated database for one test. ``passwords`` are those of the roles and of "superuser"."""

    host: str
    port: int
    database: str
    passwords: Mapping[str, str] = field(repr=False)

    def user(self, role: str) -> str:
        """Return the login of ``role``."""
        return postgres.SUPERUSER if role == "superuser" else role

    def settings(self, role: str) -> PostgresSettings:
        """Return the settings of a service that logs in as ``role``."""
        return PostgresSettings(
            POSTGRES_HOST=self.host,
            POSTGRES_PORT=self.port,
            POSTGRES_DB=self.database,
            POSTGRES_USER=self.user(role),
            POSTGRES_PASSWORD=SecretStr(self.passwords[role]),
        )

    def env(self, role: str) -> dict[str, str]:
        """Return the same settings as environment variables."""
        return {
            "POSTGRES_HOST": self.host,
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_DB": self.database,
            "POSTGRES_USER": self.user(role),
            "POSTGRES_PASSWORD": self.passwords[role],
        }

    def connect(self, role: str = "superuser") -> psycopg.Connection:
        """Return a connection in autocommit mode."""
        return connect(self.settings(role), "test")


@dataclass(frozen=True)
class Broker:
    """The broker, and topics for one test with the declared configuration. ``login`` is (user, password), or None."""

    bootstrap_servers: str
    topic_trades: str
    topic_dlq: str
    topic_candles: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    def settings(self) -> KafkaSettings:
        """Return the settings of a service that uses the topics."""
        return KafkaSettings(**self.env())  # type: ignore[arg-type]

    def env(self) -> dict[str, str]:
        """Return the same settings as environment variables."""
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_TOPIC_TRADES": self.topic_trades,
            "KAFKA_TOPIC_DLQ": self.topic_dlq,
            "KAFKA_TOPIC_CANDLES": self.topic_candles,
        }
        if self.login is None:
            return env
        user, password = self.login
        return env | {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
        }


@dataclass(frozen=True)
class SimulatedExchange:
    """A running simulator."""

    port: int

    @property
    def rest_url(self) -> str:
        """Return the value of BINANCE_REST_URL."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Return the value of BINANCE_WS_URL."""
        return f"ws://{LOOPBACK}:{self.port}"

    def env(self) -> dict[str, str]:
        """Return both as environment variables."""
        return {"BINANCE_WS_URL": self.ws_url, "BINANCE_REST_URL": self.rest_url}

    def status(self) -> dict[str, object]:
        """Return the simulator's status."""
        with loopback.get(f"{self.rest_url}/sim/status", 5) as answer:
            status: dict[str, object] = json.load(answer)
        return status

    def is_ready(self) -> bool:
        """Return whether the simulator answers."""
        try:
            self.status()
        except OSError:
            return False
        return True


class Servers:
    """A Kafka and a PostgreSQL under a supervisor; each is started at its first use."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._passwords = {role: postgres.new_password() for role in (*ROLES, "superuser")}
        self._postgres: postgres.PostgresServer | None = None
        self._kafka: kafka.KafkaServer | None = None
        self._guarded: kafka.KafkaServer | None = None
        self._numbers = count(1)

    def postgres(self) -> postgres.PostgresServer:
        """Return the running PostgreSQL, with a migrated database ``migrated`` as a template."""
        if self._postgres is None:
            folder = self.supervisor.state / "postgres"
            server = postgres.PostgresServer(folder, free_port(), self._passwords["superuser"])
            self.supervisor.start(postgres.program(server))
            self.supervisor.wait_ready("postgres")
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute("create database migrated")
            with psycopg.connect(server.conninfo("migrated"), autocommit=True) as connection:
                migrations.apply(connection, MIGRATIONS, {role: self._passwords[role] for role in ROLES})
            self._postgres = server
        return self._postgres

    def guarded_kafka(self) -> kafka.KafkaServer:
        """Return a second running Kafka with logins, on which only the administrator has permissions."""
        if self._guarded is None:
            folder = self.supervisor.state / "guarded"
            server = kafka.KafkaServer(folder, free_port(), free_port(), free_port(), postgres.new_password())
            program = kafka.program(server, jars.ensure_jars(self.supervisor.log_of("maven")))
            self.supervisor.start(replace(program, name="guarded"))
            self.supervisor.wait_ready("guarded")
            self._guarded = server
        return self._guarded

    def kafka(self) -> kafka.KafkaServer:
        """Return the running Kafka."""
        if self._kafka is None:
            server = kafka.KafkaServer(self.supervisor.state / "kafka", free_port(), free_port())
            resolved = jars.ensure_jars(self.supervisor.log_of("maven"))
            self.supervisor.start(kafka.program(server, resolved))
            self.supervisor.wait_ready("kafka")
            self._kafka = server
        return self._kafka

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Copy the migrated database, and drop the copy at the end even if clients are connected."""
        server = self.postgres()
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {} template migrated").format(sql.Identifier(name)))
        try:
            yield Database(LOOPBACK, server.port, name, self._passwords)
        finally:
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:  # a test may have killed it
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def broker(self) -> Broker:
        """Create new topics for one test."""
        mark = uuid4().hex[:8]
        topic_names = [f"{topic}.{mark}" for topic in ("crypto.trades.raw", "crypto.trades.dlq", "crypto.candles.1m")]
        broker = Broker(self.kafka().bootstrap_servers, *topic_names)
        topics.ensure_copies(broker.settings())
        return broker

    @contextmanager
    def running(self, program: Program, is_ready: Callable[[], bool]) -> Iterator[None]:
        """Run ``program``, from when it is ready."""
        self.supervisor.start(replace(program, ready=is_ready, restart=False))
        try:
            self.supervisor.wait_ready(program.name)
            yield
        finally:
            self.supervisor.stop(program.name)

    @contextmanager
    def simulator(self, env: Mapping[str, str]) -> Iterator[SimulatedExchange]:
        """Run a simulator with the settings ``env``."""
        exchange = SimulatedExchange(free_port())
        name = f"simulator-{next(self._numbers)}"
        program = service(name, "simulator", {**env, "SIM_HOST": LOOPBACK, "SIM_PORT": str(exchange.port)})
        command = [sys.executable, "-m", "exchange_simulator"]
        self.supervisor.start(replace(program, command=command, ready=exchange.is_ready, restart=False))
        try:
            self.supervisor.wait_ready(name)
            yield exchange
        finally:
            self.supervisor.stop(name)


def service(name: str, module: str, env: Mapping[str, str]) -> Program:
    """Return the program ``python -m crypto_analytics.<module>`` with only ``env`` as its settings."""
    path = os.pathsep.join([str(ROOT / "services"), str(ROOT)])
    return Program(
        name=name,
        command=[sys.executable, "-m", f"crypto_analytics.{module}"],
        env={**child_environment.plain(os.environ), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **env},
        folder=ROOT,
    )


def spark(name: str, env: Mapping[str, str], log: Path) -> Program:
    """Return the Spark variant of the consumer as a program, run in Spark's virtual environment."""
    jars_dir = jars.ensure_jars(log, "spark", jars.SPARK_POM)
    addresses = {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_UI_PORT": str(free_port())}
    program = service(name, "spark_candles", {**addresses, "SPARK_JARS_DIR": str(jars_dir), **env})
    return replace(program, command=[str(python_of("spark")), "-m", "crypto_analytics.spark_candles"])


@contextmanager
def running_servers(state: Path) -> Iterator[Servers]:
    """Yield servers whose files are under ``state``; stop them and remove the files at the end."""
    with Supervisor(state) as supervisor:
        yield Servers(supervisor)
    shutil.rmtree(state)
