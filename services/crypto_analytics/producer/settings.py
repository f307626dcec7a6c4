"""Settings of the producer."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from crypto_analytics.binance.settings import RestSettings
from crypto_analytics.binance.stream_connection import StreamPolicy
from crypto_analytics.binance.trade_stream import MAX_STREAMS
from crypto_analytics.runtime.settings import CommonSettings, KafkaSettings, MarketSettings, PostgresSettings


class ProducerSettings(CommonSettings, MarketSettings, RestSettings, KafkaSettings, PostgresSettings):
    """How the stream is followed and how gaps are repaired. PostgreSQL is optional: it lists gaps in merged trades."""

    POSTGRES_USER: str = Field(
        "", description="role producer, to find and explain gaps in the merged trades; empty: no gap check"
    )
    POSTGRES_PASSWORD: SecretStr = Field(SecretStr(""), description="its password")
    STREAM_TYPE: Literal["trade", "aggTrade"] = Field(
        "trade", description="aggTrade only for replays of aggregated archives"
    )
    STALL_SECONDS: PositiveFloat = Field(
        30.0, description="seconds without a frame after which a connection is checked, then replaced"
    )
    HANDOVER_HOURS: PositiveFloat = Field(
        23.5, le=24, description="hours until a new connection takes over; the exchange closes each after 24"
    )
    STREAMS_PER_CONNECTION: PositiveInt = Field(
        400, le=MAX_STREAMS, description="symbols per connection; more than 400 make a URL that proxies may refuse"
    )
    REPAIR_DELAY_SECONDS: PositiveFloat = Field(
        0.5, description="age in seconds at which a gap is repaired; younger ones may close by themselves"
    )
    REPAIR_AGG_ABOVE: PositiveInt = Field(
        100_000, description="gaps of more trades than this are repaired with aggregated trades first"
    )
    GAP_CHECK_SECONDS: NonNegativeFloat = Field(
        60.0, description="seconds between two checks for gaps in the merged trades; 0: never"
    )
    CATCH_UP_SECONDS: NonNegativeFloat = Field(
        60.0,
        description="seconds between two requests for each symbol's newest trade, which find a silent stream; 0: never",
    )
    TAIL_SCAN_RECORDS: PositiveInt = Field(
        200_000, description="records per partition read back at the start to find the ids that earlier runs sent"
    )

    @property
    def policy(self) -> StreamPolicy:
        """When a connection is checked and replaced."""
        return StreamPolicy(
            stall=self.STALL_SECONDS,
            hand_over=self.HANDOVER_HOURS * 3600,
            streams_per_connection=self.STREAMS_PER_CONNECTION,
        )

    @property
    def checks_gaps(self) -> bool:
        """Whether PostgreSQL is configured and the gap check is enabled."""
        return bool(self.POSTGRES_USER) and self.GAP_CHECK_SECONDS > 0
