"""Settings of the orphan cleanup."""

from pydantic import Field

from crypto_analytics.runtime.settings import CommonSettings, ObjectStoreSettings, PostgresSettings


class OrphanCleanupSettings(CommonSettings, PostgresSettings, ObjectStoreSettings):
    """The age at which an unlisted object counts as an orphan."""

    SWEEP_GRACE_SECONDS: int = Field(
        3600,
        ge=3600,
        description="delete unlisted objects older than this; younger ones may belong to a running batch; 3600 or more",
    )
