"""What has to change for a broker to be as declared. Pure: no Kafka here."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crypto_analytics.jobs.topics.access import MIN_IN_SYNC, Access, Topic


class Impossible(Exception):
    """A broker cannot be brought to the declared state without losing something."""


@dataclass(frozen=True)
class Replication:
    """How many copies a topic has, and how many must confirm a write; it depends on how many brokers there are."""

    factor: int = 1
    min_in_sync: int = 1


class Right(NamedTuple):
    """One user may (or, with ``allow`` false, must not) do one thing with one resource, from a host (*: any)."""

    user: str
    resource_type: str
    name: str
    pattern_type: str
    operation: str
    host: str = "*"
    allow: bool = True

    def __str__(self) -> str:
        what = f"{self.resource_type} {self.name}{'*' if self.pattern_type == 'prefix' else ''}".strip()
        note = "" if self.host == "*" else f" from {self.host}"
        return f"{self.user} {'may' if self.allow else 'must not'} {self.operation} {what}{note}"


@dataclass(frozen=True)
class ExistingTopic:
    """A topic as the broker has it; ``config`` are only the settings made for this topic."""

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
        return f"topic {self.name} created with {self.partitions} partitions"


@dataclass(frozen=True)
class AddPartitions:
    """Bring a topic to ``total`` partitions."""

    name: str
    total: int

    def __str__(self) -> str:
        return f"topic {self.name} has {self.total} partitions now"


@dataclass(frozen=True)
class AlterConfig:
    """Set some of a topic's settings, and leave others to the broker's default."""

    name: str
    set_to: Mapping[str, str]
    unset: tuple[str, ...]

    def __str__(self) -> str:
        told = [f"{key}={value}" for key, value in self.set_to.items()] + [f"no {key}" for key in self.unset]
        return f"topic {self.name} has {', '.join(told)} now"


@dataclass(frozen=True)
class SetPassword:
    """Give a user its password, and make the user if there is none."""

    user: str

    def __str__(self) -> str:
        return f"user {self.user} has its password now"


@dataclass(frozen=True)
class Grant:
    """Add a right."""

    right: Right

    def __str__(self) -> str:
        return f"added: {self.right}"


@dataclass(frozen=True)
class Withdraw:
    """Remove a right."""

    right: Right

    def __str__(self) -> str:
        return f"removed: {self.right}"


Action = CreateTopic | AddPartitions | AlterConfig | SetPassword | Grant | Withdraw


def rights(access: Access) -> list[Right]:
    """Return what all users may do, in the order of the file."""
    return list(
        dict.fromkeys(
            Right(user.name, acl.resource.type, acl.resource.name, acl.resource.pattern_type, operation)
            for user in access.users
            for acl in user.acls
            for operation in acl.operations
        )
    )


def plan_topics(
    topics: Collection[Topic], existing: Mapping[str, ExistingTopic], replication: Replication
) -> list[Action]:
    """Return what to do about topics; those that are not declared stay as they are.

    Raises:
        Impossible: with every reason.
    """
    if reasons := list(_reasons(topics, existing, replication)):
        raise Impossible("; ".join(reasons))
    return [action for topic in topics for action in _about(topic, existing.get(topic.topic_name), replication)]


def plan_users(access: Access, *, without_login: Collection[str], existing: Collection[Right]) -> list[Action]:
    """Return what to do about users: passwords for those ``without_login``, and rights.

    ``existing`` are the rights of the declared users; what is not declared is removed, after the missing are added.
    """
    wanted = rights(access)
    return [
        *(SetPassword(user.name) for user in access.users if user.name in without_login),
        *(Grant(right) for right in wanted if right not in existing),
        *(Withdraw(right) for right in sorted(existing) if right not in wanted),
    ]


def _reasons(
    topics: Collection[Topic], existing: Mapping[str, ExistingTopic], replication: Replication
) -> Iterator[str]:
    for topic in topics:
        has = existing.get(topic.topic_name)
        if has is None:
            continue
        if has.partitions > topic.partitions:
            yield (
                f"topic {topic.topic_name} has {has.partitions} partitions and {topic.partitions} are declared: "
                f"Kafka takes none away; declare {has.partitions}, or delete the topic with its records"
            )
        if has.replicas != replication.factor:
            yield (
                f"topic {topic.topic_name} has {has.replicas} replicas and KAFKA_REPLICATION_FACTOR is "
                f"{replication.factor}: move it with kafka-reassign-partitions.sh, or correct the setting"
            )


def _about(topic: Topic, has: ExistingTopic | None, replication: Replication) -> Iterator[Action]:
    config = {**topic.config, MIN_IN_SYNC: str(replication.min_in_sync)}
    if has is None:
        yield CreateTopic(topic.topic_name, topic.partitions, replication.factor, config)
        return
    if has.partitions < topic.partitions:
        yield AddPartitions(topic.topic_name, topic.partitions)
    differs = {key: value for key, value in config.items() if has.config.get(key) != value}
    unset = tuple(sorted(set(has.config) - set(config)))
    if differs or unset:
        yield AlterConfig(topic.topic_name, differs, unset)
