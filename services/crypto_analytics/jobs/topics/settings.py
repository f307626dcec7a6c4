"""Settings of the job topics; its KAFKA_SASL_USERNAME is the broker's administrator."""

from pathlib import Path
from typing import Self

from pydantic import Field, NonNegativeFloat, PositiveInt, SecretStr, model_validator

from crypto_analytics.runtime.settings import CommonSettings, KafkaSettings


class TopicsSettings(CommonSettings, KafkaSettings):
    """The declaration, the number of replicas, and the passwords of the declared users."""

    ACCESS_FILE: Path = Field(
        Path("charts/kafka/files/access.yaml"), description="file that declares topics, users and permissions"
    )
    KAFKA_REPLICATION_FACTOR: PositiveInt = Field(
        1, description="replicas of each topic; at most the number of brokers"
    )
    KAFKA_MIN_INSYNC_REPLICAS: PositiveInt = Field(1, description="replicas that must confirm a write")
    TOPICS_WAIT_SECONDS: NonNegativeFloat = Field(120.0, description="how long to wait for brokers that are starting")
    KAFKA_PASSWORD_PRODUCER: SecretStr = Field(min_length=1, description="password of the user producer")
    KAFKA_PASSWORD_CONSUMER: SecretStr = Field(min_length=1, description="password of the user consumer")
    KAFKA_PASSWORD_SPARK: SecretStr = Field(min_length=1, description="password of the user spark")
    KAFKA_PASSWORD_PUBLISHER: SecretStr = Field(min_length=1, description="password of the user publisher")
    KAFKA_PASSWORD_API: SecretStr = Field(min_length=1, description="password of the user api")
    KAFKA_PASSWORD_READER: SecretStr = Field(min_length=1, description="password of the user reader")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if not self.KAFKA_SECURITY_PROTOCOL.startswith("SASL"):
            raise ValueError("users need logins: set KAFKA_SECURITY_PROTOCOL to SASL_PLAINTEXT or SASL_SSL")
        if self.KAFKA_MIN_INSYNC_REPLICAS > self.KAFKA_REPLICATION_FACTOR:
            raise ValueError(
                "KAFKA_MIN_INSYNC_REPLICAS is greater than KAFKA_REPLICATION_FACTOR: no write would succeed"
            )
        return self
