"""Settings of the backfill."""

from pydantic import Field, PositiveInt

from crypto_analytics.binance.settings import RestSettings
from crypto_analytics.runtime.settings import CommonSettings, MarketSettings, PostgresSettings


class BackfillSettings(CommonSettings, MarketSettings, RestSettings, PostgresSettings):
    """How far back klines are fetched."""

    BACKFILL_DAYS: PositiveInt = Field(
        2, description="days before now, or before AS_OF, whose klines are kept complete"
    )
