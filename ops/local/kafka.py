"""A Kafka broker as a child of the run: one node in KRaft mode (no ZooKeeper), on loopback only.

The broker and Kafka's tools run in its folder and get relative paths only, because an absolute one could hold
characters with a meaning: Java reads a file of properties as ISO-8859-1 with backslash escapes, ``log.dirs`` is a
list with commas, a classpath one with colons.

Without logins the broker accepts every client on this machine. With an administrator's password it is set up as in
lite and Compose: logins with SCRAM, and no access without an ACL.
"""

import os
import secrets
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ops.common import child_environment, secret_files
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK
from ops.common.paths import ROOT
from ops.local.programs import Program
from ops.setup.preflight import java_command

_LOG4J = ROOT / "ops" / "setup" / "resources" / "log4j2.xml"
_PROPERTIES = "server.properties"
_DATA = "data"
ADMIN = "admin"
_HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]


@dataclass(frozen=True)
class KafkaServer:
    """One broker: its folder, the port for clients and the port of its controller.

    ``admin_password``: the password of the user ``admin``; where it is set, clients must log in, and the broker
    connects to itself on ``internal_port``.
    """

    folder: Path
    port: int
    controller_port: int
    internal_port: int = 0
    admin_password: str = field(default="", repr=False)

    @property
    def bootstrap_servers(self) -> str:
        """The value of KAFKA_BOOTSTRAP_SERVERS."""
        return f"{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        """Return whether the broker answers a request for metadata."""
        admin = AdminClient({**self._login(), "bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=0.5).brokers)
        except KafkaException:
            return False

    def _login(self) -> dict[str, str]:
        if not self.admin_password:
            return {}
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": ADMIN,
            "sasl.password": self.admin_password,
        }


def program(server: KafkaServer, jars: Path) -> Program:
    """Return the program that runs ``server`` from ``jars``; its storage is formatted first where it is not.

    Raises:
        Problem: the storage cannot be formatted.
    """
    server.folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{key}={value}\n" for key, value in _properties(server).items())
    (server.folder / _PROPERTIES).write_text(lines, encoding="ascii")
    shutil.copyfile(_LOG4J, server.folder / _LOG4J.name)
    link = server.folder / "jars"
    link.unlink(missing_ok=True)
    link.symlink_to(jars)
    java = [java_command(), *_HEAP, f"-Dlog4j2.configurationFile={_LOG4J.name}", "-cp", f"{link.name}/*"]
    if not (server.folder / _DATA / "meta.properties").exists():
        _format(java, server)
    return Program(
        name="kafka", command=[*java, "kafka.Kafka", _PROPERTIES], ready=server.is_ready, folder=server.folder
    )


def _properties(server: KafkaServer) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{server.controller_port}",
        "controller.listener.names": "CONTROLLER",
        **(_with_logins(server) if server.admin_password else _open(server)),
        "log.dirs": _DATA,
        "auto.create.topics.enable": "false",
        # After kill -9 the broker can register again only when its old session is over: 3 seconds, not 9.
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


def _open(server: KafkaServer) -> dict[str, str]:
    return {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{server.port},CONTROLLER://{LOOPBACK}:{server.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{server.bootstrap_servers}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }


def _with_logins(server: KafkaServer) -> dict[str, str]:
    listeners = f"CLIENT://{LOOPBACK}:{server.port},INTERNAL://{LOOPBACK}:{server.internal_port}"
    return {
        "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{server.controller_port}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:ANONYMOUS",  # ANONYMOUS: the broker itself, on its internal listener
    }


def _format(java: list[str], server: KafkaServer) -> None:
    cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", _PROPERTIES]
    with _admin_login(server) as arguments:
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=server.folder,
            env=child_environment.plain(os.environ),
        )
    if done.returncode != 0:
        raise Problem("Kafka's storage could not be formatted", done.stderr or done.stdout, f"look at {server.folder}")


@contextmanager
def _admin_login(server: KafkaServer) -> Iterator[list[str]]:
    """Yield the arguments that create the administrator: a file's name, as any user can read arguments."""
    if not server.admin_password:
        yield []
        return
    path = server.folder / "format.arguments"
    secret_files.write(path, f"--add-scram\nSCRAM-SHA-512=[name={ADMIN},password={server.admin_password}]\n")
    try:
        yield [f"@{path.name}"]
    finally:
        path.unlink()
