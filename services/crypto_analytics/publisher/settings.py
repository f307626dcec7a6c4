"""Settings of the publisher."""

from pydantic import Field, PositiveFloat

from crypto_analytics.runtime.settings import CommonSettings, KafkaSettings, PostgresSettings


class PublisherSettings(CommonSettings, KafkaSettings, PostgresSettings):
    """How the change feed is read. PostgreSQL's role is ``reader``."""

    CANDLES_CHECK_SECONDS: PositiveFloat = Field(
        5.0, description="seconds between two reads of the change feed that do not wait for a notification"
    )
