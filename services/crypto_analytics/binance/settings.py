"""Settings of the services that use the exchange's REST interface."""

from pydantic import Field, PositiveFloat
from pydantic_settings import BaseSettings

from crypto_analytics.binance.rate_limits import LARGEST_WEIGHT


class RestSettings(BaseSettings):
    """Request weight and timeout of the REST client."""

    BINANCE_WEIGHT_LIMIT: int = Field(
        6000,
        ge=LARGEST_WEIGHT,
        description="request weight per minute that this service may use; the exchange allows 6000 per IP address",
    )
    BINANCE_TIMEOUT_SECONDS: PositiveFloat = Field(
        15.0, description="a REST request without a response in this time fails"
    )
