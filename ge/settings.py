"""Settings of the quality gate; it shares groups of settings with the services."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, PositiveInt

from crypto_analytics.runtime.settings import ClockSettings, ObjectStoreSettings, PostgresSettings


class GateSettings(ClockSettings, PostgresSettings, ObjectStoreSettings):
    """How far back the gate's runs are kept."""

    GE_DATA_DOCS_RUNS: PositiveInt = Field(50, description="runs that the Data Docs show; older ones are removed")
    GE_PAGE_FILES: Path | None = Field(
        None,
        description="folder with the files of ge/page_files.json, which the Data Docs then load instead of public "
        "servers' (the image and the local run set it); empty: the pages need the internet",
    )
    GE_DBT_DOCS: Path | None = Field(
        None,
        description="page of dbt docs, published beside the Data Docs as dbt/index.html (the image and the local run "
        "set it); empty: none",
    )
    GE_HISTORY_DAYS: PositiveInt = Field(30, description="days that the table quality_gate_runs goes back")

    @property
    def as_of(self) -> datetime:
        """Return the latest time at which a candle can open."""
        return (self.AS_OF or datetime.now(UTC)).astimezone(UTC)

    @property
    def connection_url(self) -> str:
        """Return the database's URL for SQLAlchemy. It contains the password and must not be printed."""
        user, password = quote(self.POSTGRES_USER, safe=""), quote(self.POSTGRES_PASSWORD.get_secret_value(), safe="")
        where = f"{self.POSTGRES_HOST}:{self.POSTGRES_PORT}/{quote(self.POSTGRES_DB, safe='')}"
        query = f"sslmode={self.POSTGRES_SSLMODE}&application_name=silver_gate&connect_timeout=10"
        return f"postgresql+psycopg2://{user}:{password}@{where}?{query}"

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with all secrets masked."""
        for secret in (self.POSTGRES_PASSWORD, self.S3_SECRET_KEY):
            for written in {secret.get_secret_value(), quote(secret.get_secret_value(), safe="")} - {""}:
                text = text.replace(written, "***")
        return text
