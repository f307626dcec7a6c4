"""Settings of the migration job; its POSTGRES_USER is the one that may create roles."""

from pathlib import Path

from pydantic import Field, SecretStr

from crypto_analytics.runtime.settings import CommonSettings, PostgresSettings


class MigrateSettings(CommonSettings, PostgresSettings):
    """Where the migrations are, and the passwords that the roles get."""

    MIGRATIONS_DIR: Path = Field(Path("migrations"), description="folder of the SQL migrations")
    WRITER_PASSWORD: SecretStr = Field(description="password of the role writer")
    TRANSFORMER_PASSWORD: SecretStr = Field(description="password of the role transformer")
    GATE_PASSWORD: SecretStr = Field(description="password of the role gate")
    PRODUCER_PASSWORD: SecretStr = Field(description="password of the role producer")
    READER_PASSWORD: SecretStr = Field(description="password of the role reader")
    AIRFLOW_PASSWORD: SecretStr = Field(
        SecretStr(""), description="password of the role airflow, which gets a database of its own; empty: neither"
    )
    SUPERSET_PASSWORD: SecretStr = Field(
        SecretStr(""), description="password of the role superset, which gets a database of its own; empty: neither"
    )
