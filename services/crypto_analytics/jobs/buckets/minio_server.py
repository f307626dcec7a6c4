"""The root user's connection to MinIO: read its state, and apply changes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from crypto_analytics.jobs.buckets.plan import (
    AttachPolicy,
    Change,
    CreateBucket,
    DeleteBucketPolicy,
    DetachPolicy,
    Policy,
    PutPolicy,
    SetBucketPolicy,
    State,
)
from crypto_analytics.jobs.reconciliation import LoginRefused, NotReady, SetPassword
from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import http_client, s3_client
from crypto_analytics.store.retryable_errors import TRANSIENT_S3_CODES

_LOGIN_ERRORS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})
_NOT_READY_ERRORS = TRANSIENT_S3_CODES - {"XMinioStorageFull"}  # waiting for the job's timeout frees no space


class MinioServer:
    """The root user's connection to MinIO.

    All methods raise NotReady and LoginRefused, and MinioException or MinioAdminException where MinIO refuses a request
    for another reason.
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

    def state(self, passwords: Mapping[str, str]) -> State:
        """Return the state of MinIO; ``passwords`` has the declared users' secret keys.

        MinIO never returns a secret key, so each user is logged in once.
        """
        with self._translated_errors():
            buckets = [bucket.name for bucket in self._s3.list_buckets()]
            policies = json.loads(self._admin.policy_list())
            users = json.loads(self._admin.user_list())
            bucket_policies = {
                bucket: policy for bucket in buckets if (policy := self._bucket_policy(bucket)) is not None
            }
        return State(
            buckets=buckets,
            policies=policies,
            attached={
                name: [policy for policy in about.get("policyName", "").split(",") if policy]
                for name, about in users.items()
            },
            without_login={
                user
                for user, password in passwords.items()
                if user not in users or not self._can_log_in(user, password)
            },
            bucket_policies=bucket_policies,
        )

    def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
        """Apply ``change``; ``passwords`` has the declared users' secret keys."""
        with self._translated_errors():
            match change:
                case CreateBucket():
                    self._s3.make_bucket(change.name, self._settings.S3_REGION)
                case PutPolicy():
                    self._admin.policy_add(change.name, policy=dict(change.policy))
                case SetPassword():
                    self._admin.user_add(change.user, passwords[change.user])
                case AttachPolicy():
                    self._admin.attach_policy([change.policy], user=change.user)
                case DetachPolicy():
                    self._admin.detach_policy([change.policy], user=change.user)
                case SetBucketPolicy():
                    self._s3.set_bucket_policy(change.bucket, json.dumps(change.policy))
                case DeleteBucketPolicy():
                    self._s3.delete_bucket_policy(change.bucket)

    def _bucket_policy(self, bucket: str) -> Policy | None:
        try:
            policy: Policy = json.loads(self._s3.get_bucket_policy(bucket))
        except S3Error as error:
            if error.code == "NoSuchBucketPolicy":
                return None
            raise
        return policy

    def _can_log_in(self, user: str, password: str) -> bool:
        secret = type(self._settings.S3_SECRET_KEY)(password)
        settings = self._settings.model_copy(update={"S3_ACCESS_KEY": user, "S3_SECRET_KEY": secret})
        try:
            with self._translated_errors():
                s3_client(settings).list_buckets()
        except LoginRefused:
            return False
        except S3Error as error:
            if error.code != "AccessDenied":  # the answer to a user that is logged in and lacks the permission
                raise
        return True

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        endpoint = self._settings.S3_ENDPOINT
        try:
            yield
        except S3Error as error:
            if error.code in _LOGIN_ERRORS:
                raise LoginRefused(f"MinIO at {endpoint} refuses the login: {error.message}") from error
            if error.code in _NOT_READY_ERRORS:
                raise NotReady(f"MinIO at {endpoint} is not ready: {error.message}") from error
            raise
        except ServerError as error:
            raise NotReady(f"MinIO at {endpoint} is not ready: {error}") from error
        except MinioAdminException as error:
            if error._code.startswith("5"):
                raise NotReady(f"MinIO at {endpoint} is not ready: {error}") from error
            raise
        except (HTTPError, OSError) as error:
            raise NotReady(f"MinIO does not answer at {endpoint}: {error}") from error
