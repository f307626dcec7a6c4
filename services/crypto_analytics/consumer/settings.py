"""Settings of the consumer."""

from pydantic import Field, PositiveFloat, PositiveInt

from crypto_analytics.streaming.settings import MergingSettings


class ConsumerSettings(MergingSettings):
    """The size of a batch, and the membership in the consumer group."""

    KAFKA_GROUP_INSTANCE_ID: str = Field(
        "",
        description="static member name: a restarted consumer keeps its partitions; empty: dynamic member",
    )
    BATCH_SECONDS: PositiveFloat = Field(1.0, description="a batch is merged when its oldest record is this old")
    BATCH_TRADES: PositiveInt = Field(5_000, description="or when it has this many records, whichever is first")
    BATCH_MAX_TRADES: PositiveInt = Field(
        40_000, description="largest size to which a batch grows while the one before it is merged"
    )
