"""The file that declares the object store's buckets, users and rights, in the words of S3 policies."""

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
    """What may be done with some resources: buckets (``raw``), or objects in them (``raw/*``)."""

    resources: Annotated[tuple[Resource, ...], Meta(min_length=1)]
    actions: Annotated[tuple[Action, ...], Meta(min_length=1)]


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A user, whose name is its access key and that of its policy, and all that it may do."""

    name: UserName
    statements: Annotated[tuple[Statement, ...], Meta(min_length=1)]

    def policy(self) -> dict[str, Any]:
        """Return the policy document."""
        return {
            "Version": _POLICY_VERSION,
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": list(statement.actions),
                    "Resource": list(map(_arn, statement.resources)),
                }
                for statement in self.statements
            ],
        }


class Opening(Struct, frozen=True, forbid_unknown_fields=True):
    """Objects that everybody may read without a login; nothing else can be open to everybody."""

    resources: Annotated[tuple[Objects, ...], Meta(min_length=1)]
    actions: tuple[Literal["s3:GetObject"]]


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """All that the file declares."""

    buckets: tuple[Bucket, ...]
    users: tuple[User, ...]
    anonymous: tuple[Opening, ...] = ()

    def __post_init__(self) -> None:
        for several in (list(self.buckets), [user.name for user in self.users]):
            if twice := declarations.repeated(several):
                raise ValueError(f"{', '.join(twice)} is declared twice")
        holders = {f"the user {user.name}": user.statements for user in self.users} | {"everybody": self.anonymous}
        for who, statements in holders.items():
            for resource in (resource for statement in statements for resource in statement.resources):
                if resource.partition("/")[0] not in self.buckets:
                    raise ValueError(f"{who} has rights on {resource}, which no bucket is declared for")

    def bucket_policy(self, bucket: str) -> dict[str, Any] | None:
        """Return what everybody may do in a bucket as its policy document; None: nothing."""
        resources = [
            _arn(resource)
            for opening in self.anonymous
            for resource in opening.resources
            if resource.partition("/")[0] == bucket
        ]
        if not resources:
            return None
        statement = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": resources}
        return {"Version": _POLICY_VERSION, "Statement": [statement]}

    def check_names(self, settings: ObjectStoreSettings) -> None:
        """Check that the buckets which the services are set to use are declared.

        Raises:
            BadDeclaration: one is not.
        """
        for setting in ("BUCKET_RAW", "BUCKET_BRONZE", "BUCKET_SILVER", "BUCKET_GOLD", "BUCKET_DATA_DOCS"):
            name = getattr(settings, setting)
            if name not in self.buckets:
                raise declarations.BadDeclaration(
                    f"{setting} is {name}, but only {', '.join(self.buckets)} are declared: declare it, "
                    "or correct the setting"
                )

    def check_users(self, root: str) -> None:
        """Check that root, who does this, is not among the users.

        Raises:
            BadDeclaration: it is.
        """
        if root in [user.name for user in self.users]:
            raise declarations.BadDeclaration(f"the user {root} is the one who logs in here: declare it nowhere")


def _arn(resource: str) -> str:
    return f"arn:aws:s3:::{resource}"


def read(path: Path) -> Access:
    """Return what the file declares. Raises BadDeclaration."""
    return declarations.read(path, Access)
