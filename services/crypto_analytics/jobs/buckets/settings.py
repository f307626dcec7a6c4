"""Settings of the job buckets; its S3_ACCESS_KEY is the server's root user."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, SecretStr, model_validator

from crypto_analytics.runtime.settings import CommonSettings, ObjectStoreSettings


class BucketsSettings(CommonSettings, ObjectStoreSettings):
    """The declaration, and the secret keys of the declared users."""

    OBJECT_STORE_SERVER: Literal["minio", "versitygw"] = Field("minio", description="S3 server at S3_ENDPOINT")
    ACCESS_FILE: Path = Field(
        Path("charts/minio/files/access.yaml"), description="file that declares buckets, users and permissions"
    )
    ANONYMOUS_READ: bool = Field(
        True, description="allow anonymous reads of the objects listed under `anonymous` in ACCESS_FILE"
    )
    BUCKETS_WAIT_SECONDS: NonNegativeFloat = Field(120.0, description="how long to wait for a server that is starting")
    S3_SECRET_KEY_CONSUMER: SecretStr = Field(min_length=8, description="secret key of the user consumer")
    S3_SECRET_KEY_SPARK: SecretStr = Field(min_length=8, description="secret key of the user spark")
    S3_SECRET_KEY_EXPORTER: SecretStr = Field(min_length=8, description="secret key of the user exporter")
    S3_SECRET_KEY_GATE: SecretStr = Field(min_length=8, description="secret key of the user gate")
    S3_SECRET_KEY_SWEEP: SecretStr = Field(min_length=8, description="secret key of the user sweep")
    S3_SECRET_KEY_API: SecretStr = Field(min_length=8, description="secret key of the user api")
    S3_SECRET_KEY_READER: SecretStr = Field(min_length=8, description="secret key of the user reader")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.OBJECT_STORE != "s3":
            raise ValueError("a directory has no buckets to reconcile: set OBJECT_STORE=s3, or leave this job out")
        return self
