"""The administrator's connection to the broker: read topics, users and permissions, and apply changes."""

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

from crypto_analytics.jobs.reconciliation import LoginRefused, NotReady, SetPassword
from crypto_analytics.jobs.topics.plan import (
    AddPartitions,
    AddPermission,
    AlterConfig,
    Change,
    CreateTopic,
    ExistingTopic,
    Permission,
    RemovePermission,
)
from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings

Result = TypeVar("Result")

_REQUEST_SECONDS = 30.0
_LOGIN_SECONDS = 5.0
_POLL_SECONDS = 0.2
_ITERATIONS = 4096  # as kafka-configs.sh; passwords are random, and more iterations only make each login slower

_TRANSIENT = frozenset(
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
        KafkaError.UNKNOWN_TOPIC_OR_PART,  # created a moment ago, and not known to every broker yet
    }
)

# Strimzi's terms, and the client library's.
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


class Broker:
    """An administrator's connection to the brokers.

    All methods raise NotReady and LoginRefused, and KafkaException where the broker refuses a request otherwise.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._authentication_error: KafkaError | None = None
        config: dict[str, Any] = {**client_config(settings), "error_cb": self._on_error, "log_level": 0}
        self._client = AdminClient(config)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:
            self._authentication_error = error

    def count(self, seconds: float = _LOGIN_SECONDS) -> int:
        """Return the number of brokers, within ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:  # in short steps: a wrong password is reported to the callback alone, the call itself times out
            try:
                return len(self._client.list_topics(timeout=_POLL_SECONDS).brokers)
            except KafkaException as error:
                self._client.poll(0)
                if self._authentication_error is not None:
                    user, cause = self._settings.KAFKA_SASL_USERNAME, self._authentication_error.str()
                    raise LoginRefused(f"the broker refuses the user {user}: {cause}") from error
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"no broker answers at {self._settings.KAFKA_BOOTSTRAP_SERVERS}: {_cause(error)}"
                    ) from error

    def topics(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics ``names`` that exist."""
        metadata = self._call(lambda: self._client.list_topics(timeout=_REQUEST_SECONDS)).topics
        found = [name for name in names if name in metadata]
        if not found:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in found]
        futures = self._call(lambda: self._client.describe_configs(resources, request_timeout=_REQUEST_SECONDS))
        configs = {resource.name: self._result(future) for resource, future in futures.items()}
        return {
            name: ExistingTopic(
                partitions=len(metadata[name].partitions),
                replicas=min(len(partition.replicas) for partition in metadata[name].partitions.values()),
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

        The broker never returns a password, so each user is logged in once.
        """
        if not passwords:
            return set()
        futures = self._call(
            lambda: self._client.describe_user_scram_credentials(list(passwords), request_timeout=_REQUEST_SECONDS)
        )
        assert isinstance(futures, dict)  # the library returns a dictionary where users are named
        missing = set()
        for user, future in futures.items():
            try:
                self._result(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                    raise
                missing.add(user)
        return missing | {
            user for user in passwords if user not in missing and not self._can_log_in(user, passwords[user])
        }

    def _can_log_in(self, user: str, password: str) -> bool:
        settings = self._settings.model_copy(
            update={
                "KAFKA_SASL_USERNAME": user,
                "KAFKA_SASL_PASSWORD": type(self._settings.KAFKA_SASL_PASSWORD)(password),
            }
        )
        try:
            Broker(settings).count()
        except LoginRefused:
            return False
        return True

    def permissions(self, users: Collection[str]) -> set[Permission]:
        """Return all permissions of ``users``."""
        return {permission for user in users for permission in self._permissions_of(user)}

    def _permissions_of(self, user: str) -> list[Permission]:
        acl_filter: Callable[..., AclBindingFilter] = AclBindingFilter  # its annotations lack that None matches any
        all_of_user = acl_filter(
            ResourceType.ANY, None, ResourcePatternType.ANY, _principal(user), None,
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        found: list[AclBinding] = self._result(
            self._call(lambda: self._client.describe_acls(all_of_user, request_timeout=_REQUEST_SECONDS))
        )
        return [_permission(user, binding) for binding in found]

    def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
        """Apply ``change``; ``passwords`` has the passwords of the users."""
        match change:
            case CreateTopic():
                topic = NewTopic(change.name, change.partitions, change.replicas, config=dict(change.config))
                self._each(lambda: self._client.create_topics([topic], request_timeout=_REQUEST_SECONDS))
            case AddPartitions():
                more = NewPartitions(change.name, change.total)
                self._each(lambda: self._client.create_partitions([more], request_timeout=_REQUEST_SECONDS))
            case AlterConfig():
                resource = ConfigResource(ResourceType.TOPIC, change.name, incremental_configs=_entries(change))
                self._each(lambda: self._client.incremental_alter_configs([resource], request_timeout=_REQUEST_SECONDS))
            case SetPassword():
                kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
                login = UserScramCredentialUpsertion(change.user, kind, passwords[change.user].encode())
                self._each(lambda: self._client.alter_user_scram_credentials([login], request_timeout=_REQUEST_SECONDS))
            case AddPermission():
                binding = _binding(AclBinding, change.permission)
                self._each(lambda: self._client.create_acls([binding], request_timeout=_REQUEST_SECONDS))
            case RemovePermission():
                exact = _binding(AclBindingFilter, change.permission)
                self._each(lambda: self._client.delete_acls([exact], request_timeout=_REQUEST_SECONDS))

    def _each(self, call: Callable[[], Mapping[Any, "Future[object]"]]) -> None:
        for future in self._call(call).values():
            self._result(future)

    def _result(self, future: "Future[Result]") -> Result:
        return self._call(lambda: future.result(_REQUEST_SECONDS))

    @staticmethod
    def _call(call: Callable[[], Result]) -> Result:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() in _TRANSIENT:
                raise NotReady(_cause(error)) from error
            raise
        except TimeoutError as error:
            raise NotReady(f"the broker did not answer within {_REQUEST_SECONDS:.0f} s") from error


def _cause(error: KafkaException) -> str:
    cause: KafkaError = error.args[0]
    return str(cause.str())


def _principal(user: str) -> str:
    return f"User:{user}"


def _entries(change: AlterConfig) -> list[ConfigEntry]:
    changes = [
        *((key, value, AlterConfigOpType.SET) for key, value in change.set_to.items()),
        *((key, None, AlterConfigOpType.DELETE) for key in change.unset),
    ]
    return [ConfigEntry(key, value, incremental_operation=operation) for key, value, operation in changes]


def _binding(kind: Callable[..., Result], permission: Permission) -> Result:
    return kind(
        _RESOURCES[permission.resource_type],
        permission.name or _CLUSTER,
        _PATTERNS[permission.pattern_type],
        _principal(permission.user),
        permission.host,
        _OPERATIONS[permission.operation],
        AclPermissionType.ALLOW if permission.allow else AclPermissionType.DENY,
    )


def _permission(user: str, binding: AclBinding) -> Permission:
    resource_type = _term(_RESOURCES, binding.restype)
    return Permission(
        user=user,
        resource_type=resource_type,
        name="" if resource_type == "cluster" else binding.name,
        pattern_type=_term(_PATTERNS, binding.resource_pattern_type),
        operation=_term(_OPERATIONS, binding.operation),
        host=binding.host,
        allow=binding.permission_type == AclPermissionType.ALLOW,
    )


def _term(terms: Mapping[str, object], value: object) -> str:
    """Return Strimzi's term for the client library's ``value``."""
    return next(term for term, its_value in terms.items() if its_value == value)
