"""Plan the changes that reconcile a broker with its declaration. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crypto_analytics.jobs.reconciliation import SetPassword, UnsafeChange
from crypto_analytics.jobs.topics.access import MIN_IN_SYNC, Access, Topic


@dataclass(frozen=True)
class Replication:
    """Replicas of each topic, and how many of them must confirm a write; both depend on the number of brokers."""

    factor: int = 1
    min_in_sync: int = 1


class Permission(NamedTuple):
    """One ACL of the broker: allows (or denies) a user one operation on a resource, from a host (``*``: any)."""

    user: str
    resource_type: str
    name: str
    pattern_type: str
    operation: str
    host: str = "*"
    allow: bool = True

    def __str__(self) -> str:
        resource = f"{self.resource_type} {self.name}{'*' if self.pattern_type == 'prefix' else ''}".strip()
        host = "" if self.host == "*" else f" from {self.host}"
        return f"{'allow' if self.allow else 'deny'} {self.user} {self.operation} on {resource}{host}"


@dataclass(frozen=True)
class ExistingTopic:
    """A topic on the broker. ``config`` has only the settings of this topic, not the broker's defaults."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class CreateTopic:
    """Create a topic."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]

    def __str__(self) -> str:
        return f"topic {self.name}: created with {self.partitions} partitions"


@dataclass(frozen=True)
class AddPartitions:
    """Increase the number of partitions of a topic to ``total``."""

    name: str
    total: int

    def __str__(self) -> str:
        return f"topic {self.name}: increased to {self.total} partitions"


@dataclass(frozen=True)
class AlterConfig:
    """Set some settings of a topic, and reset others to the broker's default."""

    name: str
    set_to: Mapping[str, str]
    unset: tuple[str, ...]

    def __str__(self) -> str:
        settings = [f"{key}={value}" for key, value in self.set_to.items()] + [f"{key} reset" for key in self.unset]
        return f"topic {self.name}: {', '.join(settings)}"


@dataclass(frozen=True)
class AddPermission:
    """Create an ACL."""

    permission: Permission

    def __str__(self) -> str:
        return f"permission added: {self.permission}"


@dataclass(frozen=True)
class RemovePermission:
    """Delete an ACL."""

    permission: Permission

    def __str__(self) -> str:
        return f"permission removed: {self.permission}"


Change = CreateTopic | AddPartitions | AlterConfig | SetPassword | AddPermission | RemovePermission


def permissions(access: Access) -> list[Permission]:
    """Return the declared permissions of all users, in the order of the file."""
    return list(
        dict.fromkeys(
            Permission(user.name, acl.resource.type, acl.resource.name, acl.resource.pattern_type, operation)
            for user in access.users
            for acl in user.acls
            for operation in acl.operations
        )
    )


def plan_topics(
    topics: Collection[Topic], existing: Mapping[str, ExistingTopic], replication: Replication
) -> list[Change]:
    """Return the changes of the declared topics; other topics stay as they are.

    Raises:
        UnsafeChange: with every reason.
    """
    if reasons := list(_unsafe_changes(topics, existing, replication)):
        raise UnsafeChange("; ".join(reasons))
    return [change for topic in topics for change in _changes(topic, existing.get(topic.topic_name), replication)]


def plan_users(access: Access, *, without_login: Collection[str], existing: Collection[Permission]) -> list[Change]:
    """Return the changes of the declared users: passwords of those ``without_login``, and permissions.

    ``existing`` has the permissions of the declared users. Missing ones are added before undeclared ones are removed.
    """
    declared = permissions(access)
    return [
        *(SetPassword(user.name) for user in access.users if user.name in without_login),
        *(AddPermission(permission) for permission in declared if permission not in existing),
        *(RemovePermission(permission) for permission in sorted(existing) if permission not in declared),
    ]


def _unsafe_changes(
    topics: Collection[Topic], existing: Mapping[str, ExistingTopic], replication: Replication
) -> Iterator[str]:
    for topic in topics:
        found = existing.get(topic.topic_name)
        if found is None:
            continue
        if found.partitions > topic.partitions:
            yield (
                f"topic {topic.topic_name} has {found.partitions} partitions and {topic.partitions} are declared: "
                f"Kafka cannot remove partitions; declare {found.partitions}, or delete the topic with its records"
            )
        if found.replicas != replication.factor:
            yield (
                f"topic {topic.topic_name} has {found.replicas} replicas and KAFKA_REPLICATION_FACTOR is "
                f"{replication.factor}: move it with kafka-reassign-partitions.sh, or correct the setting"
            )


def _changes(topic: Topic, existing: ExistingTopic | None, replication: Replication) -> Iterator[Change]:
    config = {**topic.config, MIN_IN_SYNC: str(replication.min_in_sync)}
    if existing is None:
        yield CreateTopic(topic.topic_name, topic.partitions, replication.factor, config)
        return
    if existing.partitions < topic.partitions:
        yield AddPartitions(topic.topic_name, topic.partitions)
    differs = {key: value for key, value in config.items() if existing.config.get(key) != value}
    unset = tuple(sorted(set(existing.config) - set(config)))
    if differs or unset:
        yield AlterConfig(topic.topic_name, differs, unset)
