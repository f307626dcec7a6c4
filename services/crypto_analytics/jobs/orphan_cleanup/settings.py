"""Settings of the sweep."""

from pydantic import Field

from crypto_analytics.runtime.settings import CommonSettings, ObjectStoreSettings, PostgresSettings


class SweepSettings(CommonSettings, PostgresSettings, ObjectStoreSettings):
    """How old an unlisted object must be."""

    SWEEP_GRACE_SECONDS: int = Field(
        3600,
        ge=3600,
        description="an unlisted object younger than this may belong to a batch under way and stays; 3600 or more",
    )
