"""Settings of the batch runner. Everything else in its environment is handed to the steps."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, SecretStr

from crypto_analytics.batch.steps import RETRIES, Component, Role, Step
from crypto_analytics.runtime.settings import CommonSettings, PostgresSettings

_NOT_HANDED_ON = {"ALERT_WEBHOOK_URL", "METRICS_PORT"}  # a secret; and one port cannot serve two


class BatchSettings(CommonSettings, PostgresSettings):
    """The roles' passwords, where each component's program is, what is written where, and when to give up."""

    POSTGRES_USER: str = Field("", description="not used: each step logs in as its own role")
    POSTGRES_PASSWORD: SecretStr = Field(SecretStr(""), description="not used: each step logs in as its own role")
    WRITER_PASSWORD: SecretStr = Field(description="password of the role writer")
    TRANSFORMER_PASSWORD: SecretStr = Field(description="password of the role transformer")
    GATE_PASSWORD: SecretStr = Field(description="password of the role gate")
    READER_PASSWORD: SecretStr = Field(description="password of the role reader")
    BATCH_PYTHON_SERVICES: Path | None = Field(
        None, description="Python of the services' environment; empty: the one that runs the batch"
    )
    BATCH_DBT: Path = Field(Path("dbt"), description="the dbt program of dbt's environment")
    BATCH_PYTHON_GE: Path = Field(Path("python"), description="Python of Great Expectations' environment")
    BATCH_PROJECT_DIR: Path = Field(
        Path(), description="folder that holds dbt/, ge/ and services/; the steps run in it"
    )
    BATCH_RETRIES: NonNegativeInt = Field(RETRIES, description="further tries of a step that failed")
    BATCH_RETRY_SECONDS: PositiveFloat = Field(5, description="longest first pause before a retry; it doubles")
    DBT_TARGET_PATH: Path = Field(Path("dbt/target"), description="folder of dbt's compiled models and parse cache")
    DBT_LOG_PATH: Path = Field(Path("dbt/logs"), description="folder of dbt's logs")
    ALERT_WEBHOOK_URL: SecretStr = Field(
        SecretStr(""), description="Slack-compatible webhook that hears of a final failure; empty: none"
    )

    def command(self, step: Step) -> list[str]:
        """Return the step's command with the program of its component."""
        programs: dict[Component, Path] = {
            "services": self.BATCH_PYTHON_SERVICES or Path(sys.executable),
            "dbt": self.BATCH_DBT,
            "ge": self.BATCH_PYTHON_GE,
        }
        return [_program(programs[step.component]), *step.command[1:]]

    def environment(self, step: Step, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the step's environment: ``inherited``, with its role's login and no other."""
        passwords: dict[Role, SecretStr] = {
            "writer": self.WRITER_PASSWORD,
            "transformer": self.TRANSFORMER_PASSWORD,
            "gate": self.GATE_PASSWORD,
            "reader": self.READER_PASSWORD,
        }
        env = {
            name: value
            for name, value in inherited.items()
            if name not in _NOT_HANDED_ON and not name.endswith("_PASSWORD")
        }
        if step.component != "services":
            env.pop("PYTHONPATH", None)  # it names the services' code, and perhaps their libraries
        if step.component == "ge":  # it uses their settings and object store
            env["PYTHONPATH"] = str((self.BATCH_PROJECT_DIR / "services").resolve())
        return env | {
            "POSTGRES_USER": step.role,
            "POSTGRES_PASSWORD": passwords[step.role].get_secret_value(),
            "DBT_TARGET_PATH": str(self.DBT_TARGET_PATH.resolve()),
            "DBT_LOG_PATH": str(self.DBT_LOG_PATH.resolve()),
            "PYTHONUNBUFFERED": "1",
        }

    def reader(self) -> PostgresSettings:
        """Return the login of the role that may only read."""
        return self.model_copy(update={"POSTGRES_USER": "reader", "POSTGRES_PASSWORD": self.READER_PASSWORD})


def _program(path: Path) -> str:
    """Return a path that holds in any working directory; a bare name is looked up on PATH.

    Links stay: a virtual environment's Python is one.
    """
    return str(path) if len(path.parts) == 1 else str(path.absolute())
