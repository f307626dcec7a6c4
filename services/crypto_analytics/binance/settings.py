"""Settings of those who ask the exchange's REST interface."""

from pydantic import Field, PositiveFloat
from pydantic_settings import BaseSettings

from crypto_analytics.binance.weights import LARGEST_WEIGHT


class RestSettings(BaseSettings):
    """How much, and how patiently, the REST interface is used."""

    BINANCE_WEIGHT_LIMIT: int = Field(
        6000,
        ge=LARGEST_WEIGHT,
        description="request weight a minute this service may use; the exchange allows 6000 an address",
    )
    BINANCE_TIMEOUT_SECONDS: PositiveFloat = Field(
        15.0, description="REST requests fail without an answer in this time"
    )
