"""MinIO as its root user sees it: look at what there is, and change it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from crypto_analytics.jobs.buckets.plan import (
    Attach,
    Change,
    CloseBucket,
    Detach,
    MakeBucket,
    OpenBucket,
    Policy,
    PutPolicy,
    SetPassword,
    State,
)
from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import http_client, s3_client

_REFUSALS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})
_PASSING = frozenset({"ServerNotInitialized", "XMinioServerNotInitialized", "SlowDown", "ServiceUnavailable"})


class NotReady(Exception):
    """MinIO cannot be reached or is not ready; it may be later."""


class LoginRefused(Exception):
    """MinIO does not take this access key with this secret key."""


class Server:
    """Root's connection to MinIO.

    All methods raise NotReady and LoginRefused, and MinioException or MinioAdminException where MinIO refuses for
    another reason.
    """

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        self._s3 = s3_client(settings)
        self._admin = MinioAdmin(
            endpoint=settings.S3_ENDPOINT,
            credentials=StaticProvider(settings.S3_ACCESS_KEY, settings.S3_SECRET_KEY.get_secret_value()),
            region=settings.S3_REGION,
            secure=settings.S3_SECURE,
            http_client=http_client(),
        )

    def look(self, passwords: Mapping[str, str]) -> State:
        """Return what there is; ``passwords`` are the declared users' secret keys.

        MinIO never tells a secret key, so each is tried.
        """
        with self._trouble_named():
            buckets = [bucket.name for bucket in self._s3.list_buckets()]
            policies = json.loads(self._admin.policy_list())
            users = json.loads(self._admin.user_list())
            open_to_all = {bucket: policy for bucket in buckets if (policy := self._bucket_policy(bucket)) is not None}
        return State(
            buckets=buckets,
            policies=policies,
            attached={
                name: [policy for policy in about.get("policyName", "").split(",") if policy]
                for name, about in users.items()
            },
            without_login={
                user for user, password in passwords.items() if user not in users or not self._opens(user, password)
            },
            open_to_all=open_to_all,
        )

    def carry_out(self, change: Change, passwords: Mapping[str, str]) -> None:
        """Do it; ``passwords`` are the declared users' secret keys."""
        with self._trouble_named():
            match change:
                case MakeBucket():
                    self._s3.make_bucket(change.name, self._settings.S3_REGION)
                case PutPolicy():
                    self._admin.policy_add(change.name, policy=dict(change.policy))
                case SetPassword():
                    self._admin.user_add(change.user, passwords[change.user])
                case Attach():
                    self._admin.attach_policy([change.policy], user=change.user)
                case Detach():
                    self._admin.detach_policy([change.policy], user=change.user)
                case OpenBucket():
                    self._s3.set_bucket_policy(change.bucket, json.dumps(change.policy))
                case CloseBucket():
                    self._s3.delete_bucket_policy(change.bucket)

    def _bucket_policy(self, bucket: str) -> Policy | None:
        try:
            policy: Policy = json.loads(self._s3.get_bucket_policy(bucket))
        except S3Error as error:
            if error.code == "NoSuchBucketPolicy":
                return None
            raise
        return policy

    def _opens(self, user: str, password: str) -> bool:
        secret = type(self._settings.S3_SECRET_KEY)(password)
        settings = self._settings.model_copy(update={"S3_ACCESS_KEY": user, "S3_SECRET_KEY": secret})
        try:
            with self._trouble_named():
                s3_client(settings).list_buckets()
        except LoginRefused:
            return False
        except S3Error as error:
            if error.code != "AccessDenied":  # which is said to those who logged in
                raise
        return True

    @contextmanager
    def _trouble_named(self) -> Iterator[None]:
        endpoint = self._settings.S3_ENDPOINT
        try:
            yield
        except S3Error as error:
            if error.code in _REFUSALS:
                raise LoginRefused(f"MinIO at {endpoint} refuses the login: {error.message}") from error
            if error.code in _PASSING:
                raise NotReady(f"MinIO at {endpoint} is starting: {error.message}") from error
            raise
        except ServerError as error:
            raise NotReady(f"MinIO at {endpoint} is not ready: {error}") from error
        except MinioAdminException as error:
            if error._code.startswith("5"):
                raise NotReady(f"MinIO at {endpoint} is not ready: {error}") from error
            raise
        except (HTTPError, OSError) as error:
            raise NotReady(f"no MinIO at {endpoint}: {error}") from error
