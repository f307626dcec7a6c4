"""Settings of the job migrate; its POSTGRES_USER needs the permission to create roles and databases."""

from pathlib import Path

from pydantic import Field, SecretStr

from crypto_analytics.runtime.settings import CommonSettings, PostgresSettings


class MigrateSettings(CommonSettings, PostgresSettings):
    """The folder of the migrations, and the passwords of the roles."""

    MIGRATIONS_DIR: Path = Field(Path("migrations"), description="folder of the SQL migrations")
    WRITER_PASSWORD: SecretStr = Field(description="password of the role writer")
    TRANSFORMER_PASSWORD: SecretStr = Field(description="password of the role transformer")
    GATE_PASSWORD: SecretStr = Field(description="password of the role gate")
    PRODUCER_PASSWORD: SecretStr = Field(description="password of the role producer")
    READER_PASSWORD: SecretStr = Field(description="password of the role reader")
    MONITOR_PASSWORD: SecretStr = Field(
        SecretStr(""),
        description="password of the role monitor, which reads the server's statistics; empty: it cannot log in",
    )
    AIRFLOW_PASSWORD: SecretStr = Field(
        SecretStr(""),
        description="password of the role airflow, which owns a database of that name; empty: no such database",
    )
    SUPERSET_PASSWORD: SecretStr = Field(
        SecretStr(""),
        description="password of the role superset, which owns a database of that name; empty: no such database",
    )
