"""Settings of the producer."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from crypto_analytics.binance.settings import RestSettings
from crypto_analytics.binance.websocket import MAX_STREAMS, StreamPolicy
from crypto_analytics.runtime.settings import CommonSettings, KafkaSettings, MarketSettings, PostgresSettings


class ProducerSettings(CommonSettings, MarketSettings, RestSettings, KafkaSettings, PostgresSettings):
    """How the stream is followed and how gaps are repaired. PostgreSQL is optional here: a second look for gaps."""

    POSTGRES_USER: str = Field(
        "", description="role producer, to find and explain gaps in what is merged; empty: do not look"
    )
    POSTGRES_PASSWORD: SecretStr = Field(SecretStr(""), description="its password")
    STREAM_TYPE: Literal["trade", "aggTrade"] = Field("trade", description="aggTrade only for replays of such archives")
    STALL_SECONDS: PositiveFloat = Field(
        30.0, description="a connection silent for this long is checked, then replaced"
    )
    HANDOVER_HOURS: PositiveFloat = Field(
        23.5, le=24, description="a new connection takes over after this; the exchange closes each after 24"
    )
    STREAMS_PER_CONNECTION: PositiveInt = Field(
        400, le=MAX_STREAMS, description="symbols a connection; more than 400 make a URL that proxies may refuse"
    )
    REPAIR_DELAY_SECONDS: PositiveFloat = Field(
        0.5, description="a gap this old is repaired; younger ones may close by themselves"
    )
    REPAIR_AGG_ABOVE: PositiveInt = Field(
        100_000, description="gaps of more trades than this are repaired with aggregated trades"
    )
    GAP_CHECK_SECONDS: NonNegativeFloat = Field(
        60.0, description="look for gaps in what is merged this often; 0: never"
    )
    CATCH_UP_SECONDS: NonNegativeFloat = Field(
        60.0,
        description="ask the exchange this often how far each symbol is, to find a stream that stopped alone; 0: never",
    )
    TAIL_SCAN_RECORDS: PositiveInt = Field(
        200_000, description="at the start, read back this many records a partition to find each symbol's last trade"
    )

    @property
    def policy(self) -> StreamPolicy:
        """When a connection is doubted and replaced."""
        return StreamPolicy(
            stall=self.STALL_SECONDS,
            hand_over=self.HANDOVER_HOURS * 3600,
            streams_per_connection=self.STREAMS_PER_CONNECTION,
        )

    @property
    def looks_for_gaps(self) -> bool:
        """Whether PostgreSQL is configured and the look is wanted."""
        return bool(self.POSTGRES_USER) and self.GAP_CHECK_SECONDS > 0
