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
    """The settings of merging trades into candles, in both variants."""

    KAFKA_CONSUMER_GROUP: str = Field(
        "crypto-candles", description="both variants commit the offsets of merged trades to this group"
    )
