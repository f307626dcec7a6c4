"""Plan the changes that reconcile an S3 server with its declaration. Pure. No bucket and no user is ever removed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crypto_analytics.jobs.buckets.access import Access
from crypto_analytics.jobs.reconciliation import SetPassword

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """The state of a server.

    Attributes:
        buckets: the names of the buckets.
        without_login: the declared users that do not exist, or cannot log in with the declared secret key.
        bucket_policies: the policies of the buckets, which grant access without a login, and the users' permissions
            where the server has no policies of users.
        policies: the policy documents of users by name; None: the server has none.
        attached: the names of the policies that are attached to each user.
    """

    buckets: Collection[str]
    without_login: Collection[str]
    bucket_policies: Mapping[str, Policy]
    policies: Mapping[str, Policy] | None = None
    attached: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateBucket:
    """Create a bucket."""

    name: str

    def __str__(self) -> str:
        return f"bucket {self.name}: created"


@dataclass(frozen=True)
class PutPolicy:
    """Create or replace a policy."""

    name: str
    policy: Policy

    def __str__(self) -> str:
        return f"policy {self.name}: written"


@dataclass(frozen=True)
class AttachPolicy:
    """Attach a policy to a user."""

    policy: str
    user: str

    def __str__(self) -> str:
        return f"policy {self.policy}: attached to {self.user}"


@dataclass(frozen=True)
class DetachPolicy:
    """Detach a policy from a user."""

    policy: str
    user: str

    def __str__(self) -> str:
        return f"policy {self.policy}: detached from {self.user}"


@dataclass(frozen=True)
class SetBucketPolicy:
    """Set the policy of a bucket: the declared anonymous reads, or all permissions on it."""

    bucket: str
    policy: Policy

    def __str__(self) -> str:
        return f"bucket {self.bucket}: policy written"


@dataclass(frozen=True)
class DeleteBucketPolicy:
    """Remove the policy of a bucket, for which none is declared."""

    bucket: str

    def __str__(self) -> str:
        return f"bucket {self.bucket}: policy removed"


Change = CreateBucket | PutPolicy | SetPassword | AttachPolicy | DetachPolicy | SetBucketPolicy | DeleteBucketPolicy


def plan(access: Access, state: State) -> Iterator[Change]:
    """Yield the changes in the order in which they must be applied."""
    yield from (CreateBucket(bucket) for bucket in access.buckets if bucket not in state.buckets)
    for user in access.users:
        if state.policies is not None and _differ(user.policy(), state.policies.get(user.name)):
            yield PutPolicy(user.name, user.policy())
        if user.name in state.without_login:
            yield SetPassword(user.name)
        if state.policies is not None:
            attached = state.attached.get(user.name, ())
            if user.name not in attached:
                yield AttachPolicy(user.name, user.name)
            yield from (DetachPolicy(policy, user.name) for policy in sorted(attached) if policy != user.name)
    for bucket in access.buckets:
        existing = state.bucket_policies.get(bucket)
        declared = access.bucket_policy(bucket, of_users=state.policies is None)
        if declared is None and existing is not None:
            yield DeleteBucketPolicy(bucket)
        elif declared is not None and _differ(declared, existing):
            yield SetBucketPolicy(bucket, declared)


def _differ(declared: Policy, existing: Policy | None) -> bool:
    return existing is None or normalized(existing) != normalized(declared)


def normalized(policy: Policy) -> frozenset[tuple[object, ...]]:
    """Return the statements of a policy in a form that does not depend on their order or on the order of lists."""
    return frozenset(
        tuple(sorted((key, _unordered(value)) for key, value in statement.items()))
        for statement in policy.get("Statement") or ()
    )


def _unordered(value: object) -> frozenset[object]:
    match value:
        case Mapping():
            return frozenset((key, _unordered(its_value)) for key, its_value in value.items())
        case str():
            return frozenset([value])
        case Collection():
            return frozenset(value)
        case _:
            return frozenset([value])
