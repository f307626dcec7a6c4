"""The file that declares Kafka's topics, users and ACLs, in the terms of Strimzi's KafkaTopic and KafkaUser."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from crypto_analytics.jobs import declarations
from crypto_analytics.runtime.settings import KafkaSettings

MIN_IN_SYNC = "min.insync.replicas"

Name = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
TopicName = Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]+$", max_length=249)]
ResourceType = Literal["topic", "group", "transactionalId", "cluster"]
PatternType = Literal["literal", "prefix"]
Operation = Literal[
    "All", "Alter", "AlterConfigs", "ClusterAction", "Create", "Delete", "Describe", "DescribeConfigs",
    "IdempotentWrite", "Read", "Write",
]  # fmt: skip


class Topic(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A topic. ``name`` is the name of its Kubernetes object, ``config`` has the broker's topic settings."""

    name: Name
    topic_name: TopicName
    partitions: Annotated[int, Meta(ge=1)]
    config: dict[str, str]

    def __post_init__(self) -> None:
        if MIN_IN_SYNC in self.config:
            raise ValueError(f"{MIN_IN_SYNC} depends on the number of brokers: set KAFKA_MIN_INSYNC_REPLICAS instead")


class Resource(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The resource of an ACL; a ``prefix`` matches all names that begin with it."""

    type: ResourceType
    name: str = ""
    pattern_type: PatternType = "literal"

    def __post_init__(self) -> None:
        if (self.type == "cluster") == bool(self.name):
            raise ValueError("a topic, group or transactionalId needs a name (* matches all), the cluster has none")


class Acl(Struct, frozen=True, forbid_unknown_fields=True):
    """The operations that a user is allowed on a resource."""

    resource: Resource
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)]


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A user and its ACLs, which hold from any host."""

    name: Name
    acls: tuple[Acl, ...]


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    topics: tuple[Topic, ...]
    users: tuple[User, ...]

    def __post_init__(self) -> None:
        names = [topic.name for topic in self.topics], [topic.topic_name for topic in self.topics]
        for several in (*names, [user.name for user in self.users]):
            if repeated := declarations.duplicates(several):
                raise ValueError(f"{', '.join(repeated)} is declared twice")

    def check_names(self, settings: KafkaSettings) -> None:
        """Check that the topics which the services are configured to use are declared. Raises InvalidDeclaration."""
        names = ("KAFKA_TOPIC_TRADES", "KAFKA_TOPIC_DLQ", "KAFKA_TOPIC_CANDLES")
        configured = {name: getattr(settings, name) for name in names}
        declarations.check_configured(configured, [topic.topic_name for topic in self.topics])

    def check_users(self, administrator: str) -> None:
        """Check that the administrator is not among the declared users. Raises InvalidDeclaration."""
        declarations.check_administrator(administrator, [user.name for user in self.users])


def read(path: Path) -> Access:
    """Return the declared topics and users. Raises InvalidDeclaration."""
    return declarations.read(path, Access)
