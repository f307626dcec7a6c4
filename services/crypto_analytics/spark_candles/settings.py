"""Settings of the Spark variant."""

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator

from crypto_analytics.runtime.settings import Port
from crypto_analytics.streaming.settings import MergingSettings


class SparkCandlesSettings(MergingSettings):
    """How Spark runs, and how large a micro-batch gets. The SPARK_ ones are read by the driver alone."""

    SPARK_MASTER: str = Field(
        "local[2]", description="where Spark runs; spark-submit and the operator say it themselves"
    )
    SPARK_TRIGGER_SECONDS: PositiveFloat = Field(1.0, description="a micro-batch starts this often, or when ready")
    SPARK_MAX_OFFSETS_PER_TRIGGER: PositiveInt = Field(200_000, description="records a micro-batch takes at most")
    SPARK_CHECKPOINT_DIR: Path | None = Field(
        None, description="folder for Spark's own bookkeeping, made anew at each start; empty: a temporary one"
    )
    SPARK_DRIVER_MEMORY: str = Field("512m", pattern=r"^\d+[mg]$", description="heap of the driver where it is local")
    SPARK_UI_PORT: Port = Field(4040, description="port of Spark's own pages")
    SPARK_JARS_DIR: Path | None = Field(None, description="folder with Spark's Kafka jars; empty: among Spark's own")

    @field_validator("KAFKA_SASL_PASSWORD")
    @classmethod
    def _check_password(cls, password: SecretStr) -> SecretStr:
        if set('"\\\n') & set(password.get_secret_value()):
            raise ValueError("Java's login configuration cannot hold quotes and backslashes: use another password")
        return password
