"""Run a Kafka broker and a PostgreSQL server for the benchmarks in a temporary folder."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from crypto_analytics.jobs.migrate import migrations
from crypto_analytics.runtime.settings import KafkaSettings
from ops.common.loopback import LOOPBACK, free_port
from ops.local import kafka, postgres, topics
from ops.local.supervisor import Supervisor
from ops.setup import jars

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Stack:
    """The running servers."""

    folder: Path
    supervisor: Supervisor
    kafka: kafka.KafkaServer
    postgres: postgres.PostgresServer
    passwords: dict[str, str]

    def new_topic(self, name: str) -> str:
        """Create a trades topic with the platform's declared configuration, and its dead-letter topic."""
        topics.ensure_copies(
            KafkaSettings(
                KAFKA_BOOTSTRAP_SERVERS=self.kafka.bootstrap_servers,
                KAFKA_TOPIC_TRADES=name,
                KAFKA_TOPIC_DLQ=f"{name}.dlq",
                KAFKA_TOPIC_CANDLES=f"{name}.candles",
            )
        )
        return name

    def new_database(self, name: str) -> str:
        """Create a migrated, empty database."""
        with psycopg.connect(self.postgres.conninfo(), autocommit=True) as connection:
            connection.execute(f'drop database if exists "{name}"'.encode())
            connection.execute(f'create database "{name}"'.encode())
        with psycopg.connect(self.postgres.conninfo(name), autocommit=True) as connection:
            migrations.apply(connection, ROOT / "migrations", self.passwords)
        return name

    def env(self, *, topic: str, database: str, role: str = "writer", **changes: str) -> dict[str, str]:
        """Return the environment of a service that reads ``topic`` and works on ``database``."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)]),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_TOPIC_TRADES": topic,
            "KAFKA_TOPIC_DLQ": f"{topic}.dlq",
            "KAFKA_TOPIC_CANDLES": f"{topic}.candles",
            "POSTGRES_HOST": LOOPBACK,
            "POSTGRES_PORT": str(self.postgres.port),
            "POSTGRES_DB": database,
            "POSTGRES_USER": role,
            "POSTGRES_PASSWORD": self.passwords[role],
            "OBJECT_STORE": "directory",
            "OBJECT_STORE_DIR": str(self.folder / "objects" / database),
            "LOG_LEVEL": "WARNING",
            **changes,
        }


@contextmanager
def stack() -> Iterator[Stack]:
    """Yield a running stack; its files are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="crypto-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        broker = kafka.KafkaServer(folder / "kafka", free_port(), free_port())
        server = postgres.PostgresServer(folder / "postgres", free_port(), postgres.new_password())
        with Supervisor(folder) as supervisor:
            classpath = jars.ensure_jars(folder / "logs" / "maven.log")
            supervisor.start(kafka.program(broker, classpath), postgres.program(server))
            supervisor.wait_ready("kafka", "postgres")
            passwords = {role: secrets.token_urlsafe(24) for role in ("writer", "transformer", "gate", "reader")}
            yield Stack(folder, supervisor, broker, server, passwords)
