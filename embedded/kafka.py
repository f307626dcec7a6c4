"""A real Kafka of one's own: one node in KRaft mode (no ZooKeeper), on loopback only."""

import secrets
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from embedded.ports import LOOPBACK
from embedded.preflight import java_command
from embedded.problems import Problem
from embedded.processes import Program

_LOG4J = Path(__file__).parent / "resources" / "log4j2.xml"
_HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]


@dataclass(frozen=True)
class KafkaServer:
    """One broker: its folder, the port for clients and the port on which it is its own controller."""

    folder: Path
    port: int
    controller_port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients need to know."""
        return f"{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it answers as a broker does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=0.5).brokers)
        except KafkaException:
            return False


def program(server: KafkaServer, jars: Path) -> Program:
    """Return the program that runs ``server`` from ``jars``; its storage is formatted if it is not yet.

    Raises:
        Problem: the storage cannot be formatted.
    """
    server.folder.mkdir(parents=True, exist_ok=True)
    properties = server.folder / "server.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in _properties(server).items()))
    java = [java_command(), *_HEAP, f"-Dlog4j2.configurationFile={_LOG4J}", "-cp", f"{jars}/*"]
    if not (server.folder / "data" / "meta.properties").exists():
        _format(java, properties, server.folder)
    return Program(
        name="kafka", command=[*java, "kafka.Kafka", str(properties)], ready=server.is_ready, folder=server.folder
    )


def _properties(server: KafkaServer) -> dict[str, str]:
    listeners = f"PLAINTEXT://{LOOPBACK}:{server.port},CONTROLLER://{LOOPBACK}:{server.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{server.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{server.bootstrap_servers}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(server.folder / "data"),
        "auto.create.topics.enable": "false",
        # After kill -9 the broker may register again only when its old session is over: not in nine seconds but three.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


def _format(java: list[str], properties: Path, folder: Path) -> None:
    cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise Problem("Kafka's storage could not be formatted", done.stderr or done.stdout, f"look at {folder}")
