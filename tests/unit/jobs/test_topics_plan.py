"""The changes that are planned for the differences between a broker and the declaration."""

from typing import Any

import msgspec
import pytest
import yaml
from pydantic import ValidationError

from crypto_analytics.consumer.settings import ConsumerSettings
from crypto_analytics.jobs.declarations import InvalidDeclaration
from crypto_analytics.jobs.reconciliation import SetPassword, UnsafeChange
from crypto_analytics.jobs.topics.access import Access, read
from crypto_analytics.jobs.topics.plan import (
    AddPartitions,
    AddPermission,
    AlterConfig,
    CreateTopic,
    ExistingTopic,
    Permission,
    RemovePermission,
    Replication,
    permissions,
    plan_topics,
    plan_users,
)
from crypto_analytics.jobs.topics.settings import TopicsSettings
from crypto_analytics.runtime.kafka import MAX_MESSAGE_BYTES
from crypto_analytics.runtime.settings import KafkaSettings
from ops.local.topics import ACCESS_FILE

ONE: dict[str, Any] = {
    "topics": [{"name": "a-b", "topicName": "a.b", "partitions": 3, "config": {"retention.ms": "5"}}],
    "users": [{"name": "anna", "acls": [{"resource": {"type": "topic", "name": "a."}, "operations": ["Read"]}]}],
}
READ = Permission("anna", "topic", "a.", "literal", "Read")
TWO_OF_THREE = Replication(3, 2)


def declared(**changes: Any) -> Access:
    return msgspec.convert({**ONE, **changes}, Access)


def existing(partitions: int = 3, replicas: int = 1, **config: str) -> dict[str, ExistingTopic]:
    return {"a.b": ExistingTopic(partitions, replicas, {"retention.ms": "5", "min.insync.replicas": "1"} | config)}


def test_a_missing_topic_is_created_with_the_replication_of_the_environment() -> None:
    config = {"retention.ms": "5", "min.insync.replicas": "2"}
    assert plan_topics(declared().topics, {}, TWO_OF_THREE) == [CreateTopic("a.b", 3, 3, config)]


def test_a_topic_as_declared_is_left_alone_and_so_is_one_that_is_not_declared() -> None:
    assert plan_topics(declared().topics, existing() | {"else": ExistingTopic(1, 1, {"x": "y"})}, Replication()) == []


def test_drift_is_reverted() -> None:
    drifted = existing(partitions=2, **{"retention.ms": "7", "segment.ms": "1"})
    assert plan_topics(declared().topics, drifted, Replication()) == [
        AddPartitions("a.b", 3), AlterConfig("a.b", {"retention.ms": "5"}, ("segment.ms",)),
    ]  # fmt: skip


def test_unsafe_changes_are_refused_with_every_reason() -> None:
    with pytest.raises(UnsafeChange) as refused:
        plan_topics(declared().topics, existing(partitions=4), TWO_OF_THREE)
    assert "a.b has 4 partitions and 3 are declared" in str(refused.value)
    assert "a.b has 1 replicas and KAFKA_REPLICATION_FACTOR is 3" in str(refused.value)


def test_missing_permissions_are_added_and_undeclared_ones_removed() -> None:
    others = {READ._replace(operation="Write"), READ._replace(allow=False), READ._replace(host="10.0.0.1")}
    assert plan_users(declared(), without_login=["anna"], existing=[]) == [SetPassword("anna"), AddPermission(READ)]
    assert plan_users(declared(), without_login=[], existing={READ}) == []
    assert plan_users(declared(), without_login=["else"], existing={READ, *others}) == [
        RemovePermission(permission) for permission in sorted(others)
    ]


def test_changes_are_described_for_the_log() -> None:
    prefix = Permission("anna", "group", "reader", "prefix", "Read")
    assert str(AddPermission(prefix)) == "permission added: allow anna Read on group reader*"
    assert (
        str(RemovePermission(READ._replace(allow=False, host="h")))
        == "permission removed: deny anna Read on topic a. from h"
    )
    assert (
        str(AddPermission(Permission("anna", "cluster", "", "literal", "Create")))
        == "permission added: allow anna Create on cluster"
    )


@pytest.mark.parametrize(
    ("where", "value", "cause"),
    [
        ("topics", [*ONE["topics"], *ONE["topics"]], "a-b is declared twice"),
        ("users", [*ONE["users"], *ONE["users"]], "anna is declared twice"),
        ("topics", [ONE["topics"][0] | {"partitions": 0}], r"`int` >= 1 - at `\$.topics\[0\].partitions`"),
        ("topics", [ONE["topics"][0] | {"config": {"retention.ms": 5}}], "Expected `str`, got `int`"),
        ("topics", [ONE["topics"][0] | {"config": {"min.insync.replicas": "2"}}], "set KAFKA_MIN_INSYNC_REPLICAS"),
        ("topics", [ONE["topics"][0] | {"replicas": 3}], "unknown field `replicas`"),
        ("users", [{"name": "anna"}], "missing required field `acls`"),
        (
            "users",
            [{"name": "anna", "acls": [{"resource": {"type": "topic"}, "operations": ["Read"]}]}],
            "needs a name",
        ),
    ],
)
def test_an_invalid_declaration_is_refused(where: str, value: Any, cause: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=cause):
        declared(**{where: value})


def test_the_administrator_cannot_be_declared() -> None:
    with pytest.raises(InvalidDeclaration, match="the user anna is the administrator"):
        declared().check_users("anna")


def test_the_project_s_own_file_agrees_with_the_settings() -> None:
    access = read(ACCESS_FILE)
    access.check_names(KafkaSettings())
    config = {topic.topic_name: topic.config for topic in access.topics}
    assert config["crypto.trades.dlq"]["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
    assert {f"KAFKA_PASSWORD_{user.name.upper()}" for user in access.users} == {
        name for name in TopicsSettings.model_fields if name.startswith("KAFKA_PASSWORD_")
    }
    group = ConsumerSettings.model_fields["KAFKA_CONSUMER_GROUP"].default
    assert Permission("consumer", "group", group, "literal", "Read") in permissions(access)


def test_the_project_s_own_file_has_no_number_that_a_template_would_write_otherwise() -> None:
    """Helm reads every number as a float, and writes large ones with an exponent."""
    for topic in yaml.safe_load(ACCESS_FILE.read_text())["topics"]:
        assert all(isinstance(value, str) for value in topic["config"].values())


def test_settings_that_cannot_work_are_refused() -> None:
    good = {f"KAFKA_PASSWORD_{user.name.upper()}": "made up" for user in read(ACCESS_FILE).users}
    login = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "admin", "KAFKA_SASL_PASSWORD": "made up"}
    TopicsSettings.model_validate(good | login)
    for wrong, cause in (
        (good, "users need logins"),
        (good | login | {"KAFKA_MIN_INSYNC_REPLICAS": "2"}, "no write would succeed"),
        (good | login | {"KAFKA_PASSWORD_READER": ""}, "KAFKA_PASSWORD_READER"),
    ):
        with pytest.raises(ValidationError, match=cause):
            TopicsSettings.model_validate(wrong)
