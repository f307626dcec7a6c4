"""The broker as its administrator sees it: look at what there is, and change it."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from crypto_analytics.jobs.topics.plan import (
    Action,
    AddPartitions,
    AlterConfig,
    CreateTopic,
    ExistingTopic,
    Grant,
    Right,
    SetPassword,
    Withdraw,
)
from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings

Answer = TypeVar("Answer")

_SECONDS = 30.0
_LOGIN_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_ITERATIONS = 4096  # as kafka-configs.sh; passwords are random, so more would only cost each login time

_PASSING = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,  # just created, and not known to every broker yet
    }
)

# Strimzi's words, and the client library's.
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
_OPERATIONS = {
    "All": AclOperation.ALL,
    "Alter": AclOperation.ALTER,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
    "ClusterAction": AclOperation.CLUSTER_ACTION,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "IdempotentWrite": AclOperation.IDEMPOTENT_WRITE,
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
}
_CLUSTER = "kafka-cluster"  # the broker's name for the one resource of its type


class NotReady(Exception):
    """The broker cannot be reached or is not ready; it may be later."""


class LoginRefused(Exception):
    """The broker does not take this user with this password."""


class Broker:
    """An administrator's connection to the brokers.

    All methods raise NotReady and LoginRefused, and KafkaException where the broker refuses for another reason.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._refusal: KafkaError | None = None
        config: dict[str, Any] = {**client_config(settings), "error_cb": self._note, "log_level": 0}
        self._client = AdminClient(config)

    def _note(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:
            self._refusal = error

    def brokers(self, seconds: float = _LOGIN_SECONDS) -> int:
        """Return how many brokers there are, within ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:  # in short steps: a wrong password is told by a callback, and the call itself only times out
            try:
                return len(self._client.list_topics(timeout=_LOOK_SECONDS).brokers)
            except KafkaException as error:
                self._client.poll(0)
                if self._refusal is not None:
                    user = self._settings.KAFKA_SASL_USERNAME
                    raise LoginRefused(f"the broker refuses the user {user}: {self._refusal.str()}") from error
                if time.monotonic() > deadline:
                    raise NotReady(f"no broker at {self._settings.KAFKA_BOOTSTRAP_SERVERS}: {_cause(error)}") from error

    def topics(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics ``names`` that exist."""
        there = self._ask(lambda: self._client.list_topics(timeout=_SECONDS)).topics
        found = [name for name in names if name in there]
        if not found:
            return {}
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in found]
        answers = self._ask(lambda: self._client.describe_configs(asked, request_timeout=_SECONDS))
        configs = {resource.name: self._answer(future) for resource, future in answers.items()}
        return {
            name: ExistingTopic(
                partitions=len(there[name].partitions),
                replicas=min(len(partition.replicas) for partition in there[name].partitions.values()),
                config={
                    key: entry.value
                    for key, entry in configs[name].items()
                    if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
                },
            )
            for name in found
        }

    def without_login(self, passwords: Mapping[str, str]) -> set[str]:
        """Return the users that do not exist, or cannot log in with these passwords.

        The broker never tells a password, so each is tried.
        """
        if not passwords:
            return set()
        futures = self._ask(
            lambda: self._client.describe_user_scram_credentials(list(passwords), request_timeout=_SECONDS)
        )
        assert isinstance(futures, dict)  # as it is where users are named
        missing = set()
        for user, future in futures.items():
            try:
                self._answer(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                    raise
                missing.add(user)
        return missing | {user for user in passwords if user not in missing and not self._opens(user, passwords[user])}

    def _opens(self, user: str, password: str) -> bool:
        settings = self._settings.model_copy(
            update={
                "KAFKA_SASL_USERNAME": user,
                "KAFKA_SASL_PASSWORD": type(self._settings.KAFKA_SASL_PASSWORD)(password),
            }
        )
        try:
            Broker(settings).brokers()
        except LoginRefused:
            return False
        return True

    def rights(self, users: Collection[str]) -> set[Right]:
        """Return all rights of ``users``."""
        return {right for user in users for right in self._rights_of(user)}

    def _rights_of(self, user: str) -> list[Right]:
        matching: Callable[..., AclBindingFilter] = AclBindingFilter  # its annotations forget that None means any
        everything = matching(
            ResourceType.ANY, None, ResourcePatternType.ANY, _principal(user), None,
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        found: list[AclBinding] = self._answer(
            self._ask(lambda: self._client.describe_acls(everything, request_timeout=_SECONDS))
        )
        return [_right(user, binding) for binding in found]

    def carry_out(self, action: Action, passwords: Mapping[str, str]) -> None:
        """Do it; ``passwords`` are those of the users."""
        match action:
            case CreateTopic():
                topic = NewTopic(action.name, action.partitions, action.replicas, config=dict(action.config))
                self._each(lambda: self._client.create_topics([topic], request_timeout=_SECONDS))
            case AddPartitions():
                more = NewPartitions(action.name, action.total)
                self._each(lambda: self._client.create_partitions([more], request_timeout=_SECONDS))
            case AlterConfig():
                change = ConfigResource(ResourceType.TOPIC, action.name, incremental_configs=_entries(action))
                self._each(lambda: self._client.incremental_alter_configs([change], request_timeout=_SECONDS))
            case SetPassword():
                kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
                login = UserScramCredentialUpsertion(action.user, kind, passwords[action.user].encode())
                self._each(lambda: self._client.alter_user_scram_credentials([login], request_timeout=_SECONDS))
            case Grant():
                binding = _binding(AclBinding, action.right)
                self._each(lambda: self._client.create_acls([binding], request_timeout=_SECONDS))
            case Withdraw():
                exactly = _binding(AclBindingFilter, action.right)
                self._each(lambda: self._client.delete_acls([exactly], request_timeout=_SECONDS))

    def _each(self, call: Callable[[], Mapping[Any, "Future[object]"]]) -> None:
        for future in self._ask(call).values():
            self._answer(future)

    def _answer(self, future: "Future[Answer]") -> Answer:
        return self._ask(lambda: future.result(_SECONDS))

    @staticmethod
    def _ask(call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() in _PASSING:
                raise NotReady(_cause(error)) from error
            raise
        except TimeoutError as error:
            raise NotReady(f"no answer within {_SECONDS:.0f} s") from error


def _cause(error: KafkaException) -> str:
    cause: KafkaError = error.args[0]
    return str(cause.str())


def _principal(user: str) -> str:
    return f"User:{user}"


def _entries(action: AlterConfig) -> list[ConfigEntry]:
    changes = [
        *((key, value, AlterConfigOpType.SET) for key, value in action.set_to.items()),
        *((key, None, AlterConfigOpType.DELETE) for key in action.unset),
    ]
    return [ConfigEntry(key, value, incremental_operation=operation) for key, value, operation in changes]


def _binding(kind: Callable[..., Answer], right: Right) -> Answer:
    return kind(
        _RESOURCES[right.resource_type],
        right.name or _CLUSTER,
        _PATTERNS[right.pattern_type],
        _principal(right.user),
        right.host,
        _OPERATIONS[right.operation],
        AclPermissionType.ALLOW if right.allow else AclPermissionType.DENY,
    )


def _right(user: str, binding: AclBinding) -> Right:
    resource_type = _word(_RESOURCES, binding.restype)
    return Right(
        user=user,
        resource_type=resource_type,
        name="" if resource_type == "cluster" else binding.name,
        pattern_type=_word(_PATTERNS, binding.resource_pattern_type),
        operation=_word(_OPERATIONS, binding.operation),
        host=binding.host,
        allow=binding.permission_type == AclPermissionType.ALLOW,
    )


def _word(words: Mapping[str, object], meaning: object) -> str:
    return next(word for word, its_meaning in words.items() if its_meaning == meaning)
