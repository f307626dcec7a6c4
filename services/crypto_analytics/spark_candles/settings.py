"""Settings of the Spark variant."""

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator

from crypto_analytics.runtime.settings import Port
from crypto_analytics.streaming.settings import MergingSettings


class SparkCandlesSettings(MergingSettings):
    """Spark's resources and the size of a micro-batch. Only the driver reads the SPARK_ settings."""

    SPARK_MASTER: str = Field("local[2]", description="Spark's master; spark-submit and the operator set their own")
    SPARK_TRIGGER_SECONDS: PositiveFloat = Field(
        1.0, description="interval between the starts of micro-batches; one that takes longer delays the next"
    )
    SPARK_MAX_OFFSETS_PER_TRIGGER: PositiveInt = Field(200_000, description="most records in a micro-batch")
    SPARK_CHECKPOINT_DIR: Path | None = Field(
        None, description="folder for Spark's checkpoints, emptied at each start; empty: a temporary folder"
    )
    SPARK_DRIVER_MEMORY: str = Field("512m", pattern=r"^\d+[mg]$", description="heap of a local driver")
    SPARK_UI_PORT: Port = Field(4040, description="port of Spark's web pages")
    SPARK_JARS_DIR: Path | None = Field(None, description="folder of Spark's Kafka jars; empty: Spark's own folder")

    @field_validator("KAFKA_SASL_PASSWORD")
    @classmethod
    def _check_password(cls, password: SecretStr) -> SecretStr:
        if set('"\\\n') & set(password.get_secret_value()):
            raise ValueError("Java's login configuration allows no quotes and backslashes: use another password")
        return password
