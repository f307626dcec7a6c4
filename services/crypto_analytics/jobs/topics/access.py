"""The file that declares Kafka's topics, users and rights, in the words of Strimzi's KafkaTopic and KafkaUser."""

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
    """A topic; ``name`` is that of its Kubernetes object, ``config`` are the broker's topic settings."""

    name: Name
    topic_name: TopicName
    partitions: Annotated[int, Meta(ge=1)]
    config: dict[str, str]

    def __post_init__(self) -> None:
        if MIN_IN_SYNC in self.config:
            raise ValueError(f"{MIN_IN_SYNC} depends on how many brokers there are: set KAFKA_MIN_INSYNC_REPLICAS")


class Resource(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a right is about; a prefix stands for all names that begin with it."""

    type: ResourceType
    name: str = ""
    pattern_type: PatternType = "literal"

    def __post_init__(self) -> None:
        if (self.type == "cluster") == bool(self.name):
            raise ValueError("a topic, group or transactionalId needs a name (* stands for all), the cluster has none")


class Acl(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done with a resource."""

    resource: Resource
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)]


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A user and all that it may do, from any host."""

    name: Name
    acls: tuple[Acl, ...]


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """All that the file declares."""

    topics: tuple[Topic, ...]
    users: tuple[User, ...]

    def __post_init__(self) -> None:
        names = [topic.name for topic in self.topics], [topic.topic_name for topic in self.topics]
        for several in (*names, [user.name for user in self.users]):
            if twice := declarations.repeated(several):
                raise ValueError(f"{', '.join(twice)} is declared twice")

    def check_names(self, settings: KafkaSettings) -> None:
        """Check that the topics which the services are set to use are declared.

        Raises:
            BadDeclaration: one is not.
        """
        names = [topic.topic_name for topic in self.topics]
        for setting, name in (
            ("KAFKA_TOPIC_TRADES", settings.KAFKA_TOPIC_TRADES),
            ("KAFKA_TOPIC_DLQ", settings.KAFKA_TOPIC_DLQ),
        ):
            if name not in names:
                raise declarations.BadDeclaration(
                    f"{setting} is {name}, but only {', '.join(names)} are declared: declare it, or correct the setting"
                )

    def check_users(self, admin: str) -> None:
        """Check that the administrator, who does this, is not among the users.

        Raises:
            BadDeclaration: it is: its password and rights would be changed under it.
        """
        if admin in [user.name for user in self.users]:
            raise declarations.BadDeclaration(
                f"the user {admin} is the administrator who logs in here: declare it nowhere"
            )


def read(path: Path) -> Access:
    """Return what the file declares. Raises BadDeclaration."""
    return declarations.read(path, Access)
