"""What has to change for a MinIO to be as declared. Pure: no MinIO here. Nothing is removed but rights."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crypto_analytics.jobs.buckets.access import Access

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """What there is: buckets, policies, the policies of each user, and the users who cannot log in as declared.

    ``open_to_all`` has the policies of the buckets, which say what everybody may do there without a login.
    """

    buckets: Collection[str]
    policies: Mapping[str, Policy]
    attached: Mapping[str, Collection[str]]
    without_login: Collection[str]
    open_to_all: Mapping[str, Policy]


@dataclass(frozen=True)
class MakeBucket:
    """Make a bucket."""

    name: str

    def __str__(self) -> str:
        return f"bucket {self.name} made"


@dataclass(frozen=True)
class PutPolicy:
    """Write a policy, or replace it."""

    name: str
    policy: Policy

    def __str__(self) -> str:
        return f"policy {self.name} written"


@dataclass(frozen=True)
class SetPassword:
    """Give a user its secret key, and make the user if there is none."""

    user: str

    def __str__(self) -> str:
        return f"user {self.user} has its secret key now"


@dataclass(frozen=True)
class Attach:
    """Let a policy hold for a user."""

    policy: str
    user: str

    def __str__(self) -> str:
        return f"policy {self.policy} holds for {self.user} now"


@dataclass(frozen=True)
class Detach:
    """Let a policy hold no more for a user."""

    policy: str
    user: str

    def __str__(self) -> str:
        return f"policy {self.policy} holds no more for {self.user}"


@dataclass(frozen=True)
class OpenBucket:
    """Let everybody do in a bucket what this policy says, and nothing else."""

    bucket: str
    policy: Policy

    def __str__(self) -> str:
        return f"everybody may read what is declared in bucket {self.bucket} now"


@dataclass(frozen=True)
class CloseBucket:
    """Let nobody do anything in a bucket without a login."""

    bucket: str

    def __str__(self) -> str:
        return f"nobody may read bucket {self.bucket} without a login any more"


Change = MakeBucket | PutPolicy | SetPassword | Attach | Detach | OpenBucket | CloseBucket


def plan(access: Access, state: State) -> Iterator[Change]:
    """Yield what to do, in an order in which it can be done."""
    yield from (MakeBucket(bucket) for bucket in access.buckets if bucket not in state.buckets)
    for user in access.users:
        has = state.policies.get(user.name)
        if has is None or meaning(has) != meaning(user.policy()):
            yield PutPolicy(user.name, user.policy())
        if user.name in state.without_login:
            yield SetPassword(user.name)
        attached = state.attached.get(user.name, ())
        if user.name not in attached:
            yield Attach(user.name, user.name)
        yield from (Detach(policy, user.name) for policy in sorted(attached) if policy != user.name)
    for bucket in access.buckets:
        wanted, there = access.bucket_policy(bucket), state.open_to_all.get(bucket)
        if wanted is None and there is not None:
            yield CloseBucket(bucket)
        elif wanted is not None and (there is None or meaning(there) != meaning(wanted)):
            yield OpenBucket(bucket, wanted)


def meaning(policy: Policy) -> frozenset[tuple[object, ...]]:
    """Return what a policy says, whatever the order in which it says it."""
    return frozenset(
        tuple(sorted((key, _unordered(value)) for key, value in statement.items()))
        for statement in policy.get("Statement") or ()
    )


def _unordered(value: object) -> frozenset[object]:
    match value:
        case Mapping():
            return frozenset((key, _unordered(its)) for key, its in value.items())
        case str():
            return frozenset([value])
        case Collection():
            return frozenset(value)
        case _:
            return frozenset([value])
