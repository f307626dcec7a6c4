"""Settings of the consumer."""

from pydantic import Field, PositiveFloat, PositiveInt

from crypto_analytics.runtime.settings import (
    CommonSettings,
    KafkaSettings,
    MarketSettings,
    ObjectStoreSettings,
    PostgresSettings,
)


class ConsumerSettings(CommonSettings, MarketSettings, KafkaSettings, PostgresSettings, ObjectStoreSettings):
    """When a batch is full, and who reads together."""

    KAFKA_CONSUMER_GROUP: str = Field("crypto-candles", description="consumers of one group share the partitions")
    KAFKA_GROUP_INSTANCE_ID: str = Field(
        "", description="a stable name makes a restarted consumer take its partitions back at once; empty: none"
    )
    BATCH_SECONDS: PositiveFloat = Field(1.0, description="a batch is merged when its oldest record waited this long")
    BATCH_TRADES: PositiveInt = Field(5_000, description="or when it holds this many records, whichever is first")
    BATCH_MAX_TRADES: PositiveInt = Field(
        20_000, description="while one batch is being merged the next one grows up to this many records"
    )
