"""Settings that the consumer and its Spark variant share."""

from pydantic import Field

from crypto_analytics.runtime.settings import (
    CommonSettings,
    KafkaSettings,
    MarketSettings,
    ObjectStoreSettings,
    PostgresSettings,
)


class MergingSettings(CommonSettings, MarketSettings, KafkaSettings, PostgresSettings, ObjectStoreSettings):
    """What turning trades into candles needs, in either variant."""

    KAFKA_CONSUMER_GROUP: str = Field(
        "crypto-candles", description="its committed offsets tell up to where trades are merged, in either variant"
    )
