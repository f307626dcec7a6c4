"""The file that declares the object store's buckets, users and permissions, in the terms of S3 policies."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from crypto_analytics.jobs import declarations
from crypto_analytics.runtime.settings import ObjectStoreSettings

Bucket = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
UserName = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{2,19}$")]
Action = Annotated[str, Meta(pattern=r"^s3:[A-Za-z]+$")]
Objects = Annotated[str, Meta(pattern=r"^[a-z0-9.-]+/.*$")]
Resource = Annotated[str, Meta(pattern=r"^[a-z0-9.-]+(/.*)?$")]

_POLICY_VERSION = "2012-10-17"


class Statement(Struct, frozen=True, forbid_unknown_fields=True):
    """The actions that are allowed on resources: buckets (``raw``), or objects in them (``raw/*``)."""

    resources: Annotated[tuple[Resource, ...], Meta(min_length=1)]
    actions: Annotated[tuple[Action, ...], Meta(min_length=1)]


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A user and its permissions. Its access key, and its policy on a server that has such, have its name."""

    name: UserName
    statements: Annotated[tuple[Statement, ...], Meta(min_length=1)]

    def policy(self) -> dict[str, Any]:
        """Return the policy document."""
        return _document(_allow(statement.actions, statement.resources) for statement in self.statements)


class AnonymousRead(Struct, frozen=True, forbid_unknown_fields=True):
    """Objects that can be read without a login; no other anonymous access can be declared."""

    resources: Annotated[tuple[Objects, ...], Meta(min_length=1)]
    actions: tuple[Literal["s3:GetObject"]]


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    buckets: tuple[Bucket, ...]
    users: tuple[User, ...]
    anonymous: tuple[AnonymousRead, ...] = ()

    def __post_init__(self) -> None:
        for several in (list(self.buckets), [user.name for user in self.users]):
            if repeated := declarations.duplicates(several):
                raise ValueError(f"{', '.join(repeated)} is declared twice")
        holders = {f"the user {user.name}": user.statements for user in self.users} | {"anonymous": self.anonymous}
        for holder, statements in holders.items():
            for resource in (resource for statement in statements for resource in statement.resources):
                if resource.partition("/")[0] not in self.buckets:
                    raise ValueError(f"{holder} has permissions on {resource}, but its bucket is not declared")

    def bucket_policy(self, bucket: str, *, of_users: bool = False) -> dict[str, Any] | None:
        """Return the policy document of ``bucket``, None where it would allow nothing.

        It allows the declared anonymous reads, and with ``of_users`` also the permissions of the users, for a server
        that has no policies of users.
        """
        holders: list[tuple[str, Sequence[Statement | AnonymousRead]]] = [("*", self.anonymous)]
        if of_users:
            holders += [(user.name, user.statements) for user in self.users]
        allowed = [
            _allow(statement.actions, resources, {"Principal": {"AWS": [principal]}})
            for principal, statements in holders
            for statement in statements
            if (resources := [its for its in statement.resources if its.partition("/")[0] == bucket])
        ]
        return _document(allowed) if allowed else None

    def check_names(self, settings: ObjectStoreSettings) -> None:
        """Check that the buckets which the services are configured to use are declared. Raises InvalidDeclaration."""
        names = ("BUCKET_RAW", "BUCKET_BRONZE", "BUCKET_SILVER", "BUCKET_GOLD", "BUCKET_DATA_DOCS")
        declarations.check_configured({name: getattr(settings, name) for name in names}, self.buckets)

    def check_users(self, administrator: str) -> None:
        """Check that the administrator is not among the declared users. Raises InvalidDeclaration."""
        declarations.check_administrator(administrator, [user.name for user in self.users])


def _document(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": _POLICY_VERSION, "Statement": list(statements)}


def _allow(
    actions: Sequence[str], resources: Sequence[str], principal: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    arns = [f"arn:aws:s3:::{resource}" for resource in resources]
    return {"Effect": "Allow", **(principal or {}), "Action": list(actions), "Resource": arns}


def read(path: Path) -> Access:
    """Return the declared buckets and users. Raises InvalidDeclaration."""
    return declarations.read(path, Access)
