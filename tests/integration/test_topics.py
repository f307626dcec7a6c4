"""The topics job on a broker with logins, and the services there with only their declared permissions."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest
import structlog
import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from crypto_analytics.runtime import kafka as clients
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.streaming.settings import MergingSettings
from ops.common.loopback import LOOPBACK, free_port
from ops.local.kafka import ADMIN
from ops.local.postgres import new_password
from ops.local.topics import ACCESS_FILE
from tests.integration.producer_process import SYMBOLS, Trades, producing
from tests.integration.test_consumer import made_trade, wait_for_merged
from tests.integration.test_publisher import INSERT, publishing, wait_until_equal
from tests.oracle import Oracle, stored_candles
from tests.servers import ROOT, Broker, Database, Servers, SimulatedExchange, service

TRADES, DLQ, CANDLES, GROUP = "crypto.trades.raw", "crypto.trades.dlq", "crypto.candles.1m", "crypto-candles"
USERS = ("producer", "consumer", "spark", "publisher", "api", "reader")
TIMEOUT = 60


class Guarded:
    """A broker with logins, and the passwords of its users."""

    def __init__(self, servers: Servers) -> None:
        server = servers.guarded_kafka()
        self.passwords = {ADMIN: server.admin_password, **{user: new_password() for user in USERS}}
        self.bootstrap_servers = server.bootstrap_servers

    def of(self, user: str, password: str | None = None) -> Broker:
        """Return the broker with the login of ``user``."""
        return Broker(self.bootstrap_servers, TRADES, DLQ, CANDLES, login=(user, password or self.passwords[user]))

    def env(self, **changes: str) -> dict[str, str]:
        return {**self.of(ADMIN).env(), **{f"KAFKA_PASSWORD_{user.upper()}": self.passwords[user] for user in USERS},
                "ACCESS_FILE": str(ACCESS_FILE), **changes}  # fmt: skip

    def run(self, **changes: str) -> tuple[int, list[str], dict[str, Any]]:
        """Run the job; return its exit code, the changes that it logged, and its last log event."""
        done = subprocess.run(
            [sys.executable, "-m", "crypto_analytics.jobs.topics"], env=job_env(self.env(**changes)),
            stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip
        assert not [secret for secret in self.passwords.values() if secret in done.stderr]
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        return done.returncode, [line["change"] for line in lines if line["event"] == "change_applied"], lines[-1]

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(clients.client_config(self.of(ADMIN).settings()))

    def config(self, topic: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answer = self.admin.describe_configs([resource])[resource].result(TIMEOUT)
        return {name: entry.value for name, entry in answer.items()}

    def rights(self, user: str) -> set[tuple[str, str]]:
        """Return (resource, operation) of all permissions of a user."""
        any_of = (ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None,
                  AclOperation.ANY, AclPermissionType.ANY)  # fmt: skip
        return {(acl.name, acl.operation.name) for acl in self.admin.describe_acls(AclBindingFilter(*any_of)).result()}


def job_env(env: dict[str, str]) -> dict[str, str]:
    """Return this environment, overridden by ``env``."""
    path = os.pathsep.join([str(ROOT / "services"), str(ROOT)])
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KAFKA_")}
    return {**inherited, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **env}


@pytest.fixture(scope="module")
def fresh(servers: Servers) -> Guarded:
    """Return a broker before its first set-up."""
    return Guarded(servers)


@pytest.fixture(scope="module")
def first_run(fresh: Guarded) -> tuple[int, list[str], dict[str, Any]]:
    return fresh.run()


@pytest.fixture
def guarded(fresh: Guarded, first_run: tuple[int, list[str], dict[str, Any]]) -> Guarded:
    """Return the broker in its declared state; a test that changes it must restore it."""
    return fresh


@contextmanager
def changed_file(tmp_path: Path, change: Callable[[Any], None]) -> Iterator[str]:
    """Yield the path of a copy of the declaration, changed by ``change``."""
    content = yaml.safe_load(ACCESS_FILE.read_text())
    change(content)
    path = tmp_path / "access.yaml"
    path.write_text(yaml.safe_dump(content))
    yield str(path)


def consume(broker: Broker, group: str, topic: str) -> list[Message]:
    """Return the first messages, which are errors if the broker refuses the access."""
    consumer = clients.consumer(broker.settings(), group)
    try:
        consumer.subscribe([topic])
        return consumer.consume(1, 20)
    finally:
        consumer.close()


def code(messages: list[Message]) -> int | None:
    [message] = messages
    error = message.error()
    return None if error is None else error.code()


def test_an_empty_broker_is_reconciled_and_a_second_run_changes_nothing(
    first_run: tuple[int, list[str], dict[str, Any]], guarded: Guarded
) -> None:
    exit_code, changes, last = first_run
    assert (exit_code, last["event"], last["changes"]) == (0, "reconciliation_finished", len(changes))
    assert changes[:2] == [f"topic {TRADES}: created with 6 partitions", f"topic {DLQ}: created with 1 partitions"]
    assert {f"user {user}: password set" for user in USERS} < set(changes)
    topics = guarded.admin.list_topics(timeout=TIMEOUT).topics
    assert (len(topics[TRADES].partitions), len(topics[DLQ].partitions)) == (6, 1)
    assert guarded.config(TRADES)["message.timestamp.type"] == "LogAppendTime"
    assert guarded.config(DLQ)["max.message.bytes"] == str(clients.MAX_MESSAGE_BYTES)
    tail = (f"{TRADES}-tail", "DESCRIBE")
    assert guarded.rights("producer") == {(TRADES, "READ"), (TRADES, "WRITE"), (DLQ, "WRITE"), tail}
    assert guarded.rights("consumer") == {(TRADES, "READ"), (DLQ, "WRITE"), (GROUP, "READ")}

    exit_code, changes, last = guarded.run()
    assert (exit_code, changes, last["changes"]) == (0, [], 0)


def test_drift_is_reverted(guarded: Guarded) -> None:
    change = ConfigResource(
        ResourceType.TOPIC,
        TRADES,
        incremental_configs=[
            ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry("segment.ms", "1000", incremental_operation=AlterConfigOpType.SET),
        ],
    )
    for future in guarded.admin.incremental_alter_configs([change]).values():
        future.result(TIMEOUT)
    guarded.passwords["consumer"] = new_password()
    exit_code, changes, _ = guarded.run()
    assert exit_code == 0
    assert changes == [
        f"topic {TRADES}: retention.ms=604800000, segment.ms reset", "user consumer: password set",
    ]  # fmt: skip
    assert guarded.config(TRADES)["retention.ms"] == "604800000"


def test_partitions_are_added_and_never_removed(guarded: Guarded, tmp_path: Path) -> None:
    def with_partitions(number: int) -> Callable[[Any], None]:
        topic = {"name": "crypto-more", "topicName": "crypto.more", "partitions": number, "config": {}}
        return lambda content: content["topics"].append(topic)

    with changed_file(tmp_path, with_partitions(1)) as path:
        assert guarded.run(ACCESS_FILE=path)[:2] == (0, ["topic crypto.more: created with 1 partitions"])
    with changed_file(tmp_path, with_partitions(3)) as path:
        assert guarded.run(ACCESS_FILE=path)[:2] == (0, ["topic crypto.more: increased to 3 partitions"])
    with changed_file(tmp_path, with_partitions(2)) as path:
        exit_code, changes, last = guarded.run(ACCESS_FILE=path)
    assert (exit_code, changes) == (1, [])
    assert "topic crypto.more has 3 partitions and 2 are declared" in last["error"]


def test_a_permission_that_is_removed_from_the_file_is_removed_from_the_user(guarded: Guarded, tmp_path: Path) -> None:
    def without_dead_letters(content: Any) -> None:
        consumer = next(user for user in content["users"] if user["name"] == "consumer")
        consumer["acls"] = [acl for acl in consumer["acls"] if acl["resource"]["name"] != DLQ]

    with changed_file(tmp_path, without_dead_letters) as path:
        assert guarded.run(ACCESS_FILE=path)[:2] == (0, [f"permission removed: allow consumer Write on topic {DLQ}"])
    assert guarded.rights("consumer") == {(TRADES, "READ"), (GROUP, "READ")}
    assert guarded.run()[:2] == (0, [f"permission added: allow consumer Write on topic {DLQ}"])


def test_more_replicas_than_brokers_fail_after_the_wait_and_name_the_setting(guarded: Guarded) -> None:
    exit_code, changes, last = guarded.run(KAFKA_REPLICATION_FACTOR="3", TOPICS_WAIT_SECONDS="1")
    assert (exit_code, changes) == (1, [])
    assert "1 brokers answer, KAFKA_REPLICATION_FACTOR needs at least 3" in last["error"]


def test_an_unreachable_broker_fails_the_job_after_the_wait_and_is_named(guarded: Guarded) -> None:
    address = f"{LOOPBACK}:{free_port()}"
    exit_code, _, last = guarded.run(KAFKA_BOOTSTRAP_SERVERS=address, TOPICS_WAIT_SECONDS="1")
    assert exit_code == 1
    assert f"no broker answers at {address}" in last["error"]


def test_a_wrong_password_of_the_administrator_is_reported_at_once(guarded: Guarded) -> None:
    exit_code, _, last = guarded.run(KAFKA_SASL_PASSWORD=new_password(), TOPICS_WAIT_SECONDS="600")
    assert exit_code == 1
    assert "the broker refuses the user admin" in last["error"]


@pytest.mark.parametrize("user", USERS)
def test_a_wrong_password_is_refused(guarded: Guarded, user: str) -> None:
    errors: list[KafkaError] = []
    config: dict[str, Any] = {**clients.client_config(guarded.of(user, new_password()).settings()),
                              "error_cb": errors.append, "log_level": 0}  # fmt: skip
    client = AdminClient(config)
    with pytest.raises(KafkaException):
        client.list_topics(timeout=2)
    client.poll(0)
    assert KafkaError._AUTHENTICATION in {error.code() for error in errors}


@pytest.mark.parametrize("name", ["producer", "consumer"])
def test_a_service_with_a_wrong_password_exits_and_names_the_fix(
    guarded: Guarded, postgres: Database, tmp_path: Path, name: str
) -> None:
    env = {**guarded.of(name, new_password()).env(), **postgres.env("reader"), "OBJECT_STORE": "directory",
           "OBJECT_STORE_DIR": str(tmp_path)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", f"crypto_analytics.{name}"], env=job_env(env),
        stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    [last] = [event for line in done.stderr.splitlines() if '"gave_up"' in line for event in [json.loads(line)]]
    assert done.returncode == 1
    assert "_AUTHENTICATION" in last["error"]
    assert last["next"].startswith("check KAFKA_*")


def test_users_cannot_use_topics_and_groups_of_others(guarded: Guarded) -> None:
    denied_topic, denied_group = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED
    assert code(consume(guarded.of("consumer"), GROUP, DLQ)) == denied_topic
    assert code(consume(guarded.of("producer"), GROUP, TRADES)) == denied_group
    assert code(consume(guarded.of("consumer"), "another", TRADES)) == denied_group
    assert code(consume(guarded.of("reader"), GROUP, TRADES)) == denied_group
    for user, topic in (("consumer", TRADES), ("reader", TRADES), ("reader", DLQ)):
        assert sent(guarded.of(user), topic) == denied_topic
    admin = AdminClient(clients.client_config(guarded.of("producer").settings()))
    with pytest.raises(KafkaException) as refused:
        admin.delete_topics([TRADES], operation_timeout=5)[TRADES].result(TIMEOUT)
    assert refused.value.args[0].code() == denied_topic


def sent(broker: Broker, topic: str, value: bytes = b"x") -> int | None:
    """Return the error code of a write, or None."""
    producer = Producer(clients.client_config(broker.settings()) | {"acks": "all", "message.timeout.ms": 10_000})
    codes: list[int | None] = []
    producer.produce(topic, value, on_delivery=lambda error, _: codes.append(error and error.code()))
    assert producer.flush(20) == 0
    return codes[0]


def test_the_services_work_with_their_permissions(
    servers: Servers,
    guarded: Guarded,
    postgres: Database,
    simulator: Callable[..., SimulatedExchange],
    tmp_path: Path,
) -> None:
    """The producer, twice, so that it reads the end of the topic, and the consumer, which also writes a dead letter."""
    exchange = simulator(SYMBOLS=",".join(SYMBOLS), SIM_MINUTES="3", SIM_RATE="1500")
    reader = guarded.of("reader")
    trades = Trades(reader)
    login = postgres.env("producer")
    with producing(servers, "guarded-producer", guarded.of("producer"), exchange, **login) as running:
        running.until(lambda: trades.hold_all_of(exchange), "trades are missing")
        assert "gave_up" not in running.log()
    with producing(servers, "guarded-again", guarded.of("producer"), exchange) as again:
        again.until(lambda: '"event": "sent_ids_read"' in again.log() and again.is_ready(), "it does not start again")
    assert sent(guarded.of("producer"), TRADES) is None  # a value that is no trade

    env = {**guarded.of("consumer").env(), **postgres.env("writer"), "OBJECT_STORE": "directory",
           "OBJECT_STORE_DIR": str(tmp_path), "SYMBOLS": ",".join(SYMBOLS), "KAFKA_CONSUMER_GROUP": GROUP,
           "KAFKA_GROUP_INSTANCE_ID": "consumer-0", "MAX_FUTURE_SECONDS": "1000000000"}  # fmt: skip
    servers.supervisor.start(service("guarded-consumer", "consumer", env))
    try:
        oracle = Oracle()
        oracle.add_values(trades.values.values())
        with postgres.connect() as connection:
            servers.supervisor.wait_until(
                lambda: stored_candles(connection) == oracle.candles, TIMEOUT, "candles are missing"
            )
        letters = consume(reader, "reader-of-letters", DLQ)
        assert letters[0].value() == b"x"
        servers.supervisor.wait_until(lambda: lag(reader) == 0, TIMEOUT, "offsets are not committed")

        os.kill(servers.supervisor.pid("guarded"), signal.SIGKILL)  # a restarted broker has its users at once
        servers.supervisor.wait_until(
            lambda: servers.supervisor.restarts.get("guarded") == 1 and servers.guarded_kafka().is_ready(),
            TIMEOUT, "the broker does not come back",
        )  # fmt: skip
        assert sent(guarded.of("producer"), TRADES) is None
        servers.supervisor.wait_until(lambda: lag(reader) == 0, TIMEOUT, "it does not go on reading")
        assert servers.supervisor.restarts["guarded-consumer"] == 0
    finally:
        servers.supervisor.stop("guarded-consumer")
        trades.close()


def lag(broker: Broker) -> int:
    """Return the lag of the consumer group, read with a login that may only describe it."""
    looking = Consumer(clients.client_config(broker.settings()) | {"group.id": GROUP})
    parts = looking.committed([TopicPartition(TRADES, number) for number in range(6)], TIMEOUT)
    behind = [looking.get_watermark_offsets(part)[1] - max(0, part.offset) for part in parts]
    looking.close()
    return sum(behind)


def test_settings_that_name_an_undeclared_topic_are_refused(guarded: Guarded) -> None:
    exit_code, _, last = guarded.run(KAFKA_TOPIC_TRADES="trades")
    assert exit_code == 1
    assert last["error"].startswith("KAFKA_TOPIC_TRADES is trades, but only crypto.trades.raw, ")


def test_the_declaration_is_needed_whole(guarded: Guarded, tmp_path: Path) -> None:
    def misspell(content: Any) -> None:
        content["users"][1]["acls"][0]["operations"] = ["Raed"]

    with changed_file(tmp_path, misspell) as path:
        exit_code, changes, last = guarded.run(ACCESS_FILE=path)
    assert (exit_code, changes) == (1, [])
    assert last["error"] == f"{path}: Invalid enum value 'Raed' - at `$.users[1].acls[0].operations[0]`"
    assert replace(guarded.of("reader"), login=None).env().keys().isdisjoint({"KAFKA_SASL_PASSWORD"})


def test_both_variants_end_when_they_lose_their_permission_on_the_group_and_name_it(
    servers: Servers, guarded: Guarded, postgres: Database, tmp_path: Path
) -> None:
    """All else works: Kafka answers, trades come, and the stores take them.

    It leaves records in the topic, so it runs after the tests that count them.
    """

    def without_the_group(content: Any) -> None:
        for user in content["users"]:
            user["acls"] = [acl for acl in user["acls"] if acl["resource"]["name"] != GROUP]

    log, random, numbers = tmp_path / "log", Random(1), count(1)
    env = {**guarded.of("consumer").env(), **postgres.env("writer"), "OBJECT_STORE": "directory",
           "OBJECT_STORE_DIR": str(tmp_path / "objects"), "SYMBOLS": "TRXUSDT", "BATCH_SECONDS": "0.1"}  # fmt: skip
    spark_settings = MergingSettings(**{**env, **guarded.of("spark").env(), "SYMBOLS": ("TRXUSDT",)})  # type: ignore[arg-type]
    group_offsets = GroupOffsets(spark_settings, structlog.stdlib.get_logger())
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "crypto_analytics.consumer"], env=job_env(env), stderr=file)

    def consumer_exited() -> bool:
        """Send another trade and return whether the consumer has exited."""
        assert sent(guarded.of("producer"), TRADES, made_trade("TRXUSDT", next(numbers), random)) is None
        return process.poll() is not None

    error_codes: list[int] = []

    def driver_keeps_permission() -> bool:
        """Commit another offset as Spark's driver does and return whether Kafka still permits it."""
        group_offsets.commit({0: next(numbers)})
        try:
            group_offsets.serve()
        except KafkaException as error:
            error_codes.append(error.args[0].code())
            return False
        return True

    try:
        assert group_offsets.start(Event(), lambda: None)
        assert not consumer_exited()
        wait_for_merged(servers, postgres, 1)
        assert driver_keeps_permission()
        with changed_file(tmp_path, without_the_group) as path:
            assert guarded.run(ACCESS_FILE=path)[0] == 0
        servers.supervisor.wait_until(
            lambda: not driver_keeps_permission(), TIMEOUT, "Kafka still permits Spark's driver to commit"
        )
        servers.supervisor.wait_until(consumer_exited, TIMEOUT, "the consumer still runs", every=0.2)
    finally:
        process.kill()
        process.wait()
        group_offsets.close()
        assert guarded.run()[0] == 0
    assert error_codes == [KafkaError.GROUP_AUTHORIZATION_FAILED]
    assert process.returncode == 1
    [last] = [json.loads(line) for line in log.read_text().splitlines() if '"gave_up"' in line]
    assert "GROUP_AUTHORIZATION_FAILED" in last["error"]
    assert last["next"].startswith("check KAFKA_*")


def test_the_publishers_permissions_are_enough(servers: Servers, guarded: Guarded, postgres: Database) -> None:
    with postgres.connect() as table:
        table.execute(INSERT, [["TRXUSDT"], 1, 3])
        for _ in ("first publication", "restart"):
            with publishing(guarded.of("publisher"), postgres):
                wait_until_equal(servers.supervisor, guarded.of("reader"), table)
