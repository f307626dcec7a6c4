"""The root user's connection to an S3 server: what all servers have in common."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from minio.error import MinioAdminException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from crypto_analytics.jobs.buckets.plan import (
    Change,
    CreateBucket,
    DeleteBucketPolicy,
    Policy,
    SetBucketPolicy,
    State,
)
from crypto_analytics.jobs.reconciliation import LoginRefused, NotReady
from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import s3_client
from crypto_analytics.store.retryable_errors import FULL_S3_CODES, TRANSIENT_S3_CODES

_LOGIN_ERRORS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})
_NOT_READY_ERRORS = TRANSIENT_S3_CODES - FULL_S3_CODES  # waiting for the job's timeout frees no space


class S3Server(ABC):
    """The root user's connection to an S3 server.

    All methods raise NotReady and LoginRefused, and MinioException or MinioAdminException where the server refuses a
    request for another reason.
    """

    title: ClassVar[str]
    """The name of the server in messages."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        self._s3 = s3_client(settings)

    @abstractmethod
    def state(self, passwords: Mapping[str, str]) -> State:
        """Return the state of the server; ``passwords`` has the declared users' secret keys."""

    @abstractmethod
    def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
        """Apply ``change``; ``passwords`` has the declared users' secret keys."""

    def _bucket_policies(self) -> dict[str, Policy | None]:
        """Return the policy of each bucket, None for a bucket without one."""
        return {bucket.name: self._bucket_policy(bucket.name) for bucket in self._s3.list_buckets()}

    def _bucket_policy(self, bucket: str) -> Policy | None:
        try:
            policy: Policy = json.loads(self._s3.get_bucket_policy(bucket))
        except S3Error as error:
            if error.code == "NoSuchBucketPolicy":
                return None
            raise
        return policy

    def _apply_to_bucket(self, change: CreateBucket | SetBucketPolicy | DeleteBucketPolicy) -> None:
        match change:
            case CreateBucket():
                self._s3.make_bucket(change.name, self._settings.S3_REGION)
            case SetBucketPolicy():
                self._s3.set_bucket_policy(change.bucket, json.dumps(change.policy))
            case DeleteBucketPolicy():
                self._s3.delete_bucket_policy(change.bucket)

    def _without_login(self, passwords: Mapping[str, str], users: Collection[str]) -> set[str]:
        """Return the declared users that are not among ``users``, or that the server refuses with their password."""
        return {
            user for user, password in passwords.items() if user not in users or not self._can_log_in(user, password)
        }

    def _can_log_in(self, user: str, password: str) -> bool:
        """Return whether the server accepts the secret key. A server returns none, so the user is logged in."""
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
        server = f"{self.title} at {self._settings.S3_ENDPOINT}"
        try:
            yield
        except S3Error as error:
            if error.code in _LOGIN_ERRORS:
                raise LoginRefused(f"{server} refuses the login: {error.message}") from error
            if error.code in _NOT_READY_ERRORS:
                raise NotReady(f"{server} is not ready: {error.message}") from error
            raise
        except ServerError as error:
            raise NotReady(f"{server} is not ready: {error}") from error
        except MinioAdminException as error:
            if error._code.startswith("5"):
                raise NotReady(f"{server} is not ready: {error}") from error
            raise
        except (HTTPError, OSError) as error:
            raise NotReady(f"{self.title} does not answer at {self._settings.S3_ENDPOINT}: {error}") from error
