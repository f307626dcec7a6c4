"""Settings of the consumer."""

from pydantic import Field, PositiveFloat, PositiveInt

from crypto_analytics.streaming.settings import MergingSettings


class ConsumerSettings(MergingSettings):
    """When a batch is full, and who reads together."""

    KAFKA_GROUP_INSTANCE_ID: str = Field(
        "", description="a stable name makes a restarted consumer take its partitions back at once; empty: none"
    )
    BATCH_SECONDS: PositiveFloat = Field(1.0, description="a batch is merged when its oldest record waited this long")
    BATCH_TRADES: PositiveInt = Field(5_000, description="or when it holds this many records, whichever is first")
    BATCH_MAX_TRADES: PositiveInt = Field(
        40_000, description="while one batch is being merged the next one grows up to this many records"
    )
