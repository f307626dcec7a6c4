"""Settings of the exporter."""

from pydantic import Field, PositiveInt

from crypto_analytics.runtime.settings import (
    ClockSettings,
    CommonSettings,
    ObjectStoreSettings,
    PostgresSettings,
)


class ExporterSettings(CommonSettings, ClockSettings, PostgresSettings, ObjectStoreSettings):
    """How far back raw trades are compacted, and how many of them are in memory at a time."""

    EXPORT_RAW_DAYS: PositiveInt = Field(
        7, description="days before now whose hours of raw trades are compacted; the topic keeps no older trades"
    )
    LAKE_BATCH_TRADES: int = Field(
        500_000, ge=1_000, description="raw trades in memory at a time, at 0.3 kB each, and in a row group"
    )
