"""Settings of the exporter."""

from pydantic import Field, PositiveInt

from crypto_analytics.runtime.settings import (
    ClockSettings,
    CommonSettings,
    ObjectStoreSettings,
    PostgresSettings,
)


class ExporterSettings(CommonSettings, ClockSettings, PostgresSettings, ObjectStoreSettings):
    """How far back raw trades are looked at."""

    EXPORT_RAW_DAYS: PositiveInt = Field(
        7, description="days before now whose hours of raw trades are kept compacted; the topic holds no older ones"
    )
