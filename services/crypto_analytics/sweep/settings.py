"""Settings of the sweep."""

from pydantic import Field, PositiveInt

from crypto_analytics.runtime.settings import CommonSettings, ObjectStoreSettings, PostgresSettings


class SweepSettings(CommonSettings, PostgresSettings, ObjectStoreSettings):
    """How old an unlisted object must be."""

    SWEEP_GRACE_SECONDS: PositiveInt = Field(
        3600, description="an unlisted object younger than this may belong to a transaction under way and stays"
    )
