"""MinIO: a user's permissions are a policy of its name that is attached to it."""

import json
from collections.abc import Mapping

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from crypto_analytics.jobs.buckets.plan import (
    AttachPolicy,
    Change,
    CreateBucket,
    DeleteBucketPolicy,
    DetachPolicy,
    PutPolicy,
    SetBucketPolicy,
    State,
)
from crypto_analytics.jobs.buckets.s3_server import S3Server
from crypto_analytics.jobs.reconciliation import SetPassword
from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import http_client


class MinioServer(S3Server):
    """The root user's connection to MinIO."""

    title = "MinIO"

    def __init__(self, settings: ObjectStoreSettings) -> None:
        super().__init__(settings)
        self._admin = MinioAdmin(
            endpoint=settings.S3_ENDPOINT,
            credentials=StaticProvider(settings.S3_ACCESS_KEY, settings.S3_SECRET_KEY.get_secret_value()),
            region=settings.S3_REGION,
            secure=settings.S3_SECURE,
            http_client=http_client(),
        )

    def state(self, passwords: Mapping[str, str]) -> State:
        """See S3Server."""
        with self._translated_errors():
            bucket_policies = self._bucket_policies()
            policies = json.loads(self._admin.policy_list())
            users = json.loads(self._admin.user_list())
        return State(
            buckets=list(bucket_policies),
            without_login=self._without_login(passwords, users),
            bucket_policies={bucket: policy for bucket, policy in bucket_policies.items() if policy is not None},
            policies=policies,
            attached={
                name: [policy for policy in about.get("policyName", "").split(",") if policy]
                for name, about in users.items()
            },
        )

    def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
        """See S3Server."""
        with self._translated_errors():
            match change:
                case CreateBucket() | SetBucketPolicy() | DeleteBucketPolicy():
                    self._apply_to_bucket(change)
                case PutPolicy():
                    self._admin.policy_add(change.name, policy=dict(change.policy))
                case SetPassword():
                    self._admin.user_add(change.user, passwords[change.user])
                case AttachPolicy():
                    self._admin.attach_policy([change.policy], user=change.user)
                case DetachPolicy():
                    self._admin.detach_policy([change.policy], user=change.user)
