"""Settings of the batch runner. All other environment variables are passed on to the steps."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, SecretStr

from crypto_analytics.batch.step_definitions import RETRIES, Component, Role, Step
from crypto_analytics.runtime.settings import CommonSettings, PostgresSettings

_NOT_PASSED_ON = {"ALERT_WEBHOOK_URL", "METRICS_PORT"}  # a secret, and a port that only one process can bind


class BatchSettings(CommonSettings, PostgresSettings):
    """The roles' passwords, the program of each component, the folders, and the retries."""

    POSTGRES_USER: str = Field("", description="not used: each step logs in as its own role")
    POSTGRES_PASSWORD: SecretStr = Field(SecretStr(""), description="not used: each step logs in as its own role")
    WRITER_PASSWORD: SecretStr = Field(description="password of the role writer")
    TRANSFORMER_PASSWORD: SecretStr = Field(description="password of the role transformer")
    GATE_PASSWORD: SecretStr = Field(description="password of the role gate")
    READER_PASSWORD: SecretStr = Field(description="password of the role reader")
    BATCH_PYTHON_SERVICES: Path | None = Field(
        None, description="Python of the services' environment; empty: the Python that runs the batch"
    )
    BATCH_DBT: Path = Field(Path("dbt"), description="the dbt program of dbt's environment")
    BATCH_PYTHON_GE: Path = Field(Path("python"), description="Python of Great Expectations' environment")
    BATCH_PROJECT_DIR: Path = Field(
        Path(), description="folder that holds dbt/, ge/ and services/; the steps run in it"
    )
    BATCH_RETRIES: NonNegativeInt = Field(RETRIES, description="retries of a failed step")
    BATCH_RETRY_SECONDS: PositiveFloat = Field(
        5, description="upper bound of the first wait before a retry; it doubles with each retry"
    )
    DBT_TARGET_PATH: Path = Field(Path("dbt/target"), description="folder of dbt's compiled models and parse cache")
    DBT_LOG_PATH: Path = Field(Path("dbt/logs"), description="folder of dbt's logs")
    ALERT_WEBHOOK_URL: SecretStr = Field(
        SecretStr(""), description="Slack-compatible webhook for the alert about a failed step; empty: no alert"
    )

    def command(self, step: Step) -> list[str]:
        """Return the step's command, with the program of its component."""
        programs: dict[Component, Path] = {
            "services": self.BATCH_PYTHON_SERVICES or Path(sys.executable),
            "dbt": self.BATCH_DBT,
            "ge": self.BATCH_PYTHON_GE,
        }
        return [_program(programs[step.component]), *step.command[1:]]

    def environment(self, step: Step, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the step's environment: ``inherited`` with the login of the step's role and no other password."""
        passwords: dict[Role, SecretStr] = {
            "writer": self.WRITER_PASSWORD,
            "transformer": self.TRANSFORMER_PASSWORD,
            "gate": self.GATE_PASSWORD,
            "reader": self.READER_PASSWORD,
        }
        env = {
            name: value
            for name, value in inherited.items()
            if name not in _NOT_PASSED_ON and not name.endswith("_PASSWORD")
        }
        if step.component != "services":
            env.pop("PYTHONPATH", None)  # the path of the services' code, and perhaps of their libraries
        if step.component == "ge":  # it imports the services' settings and object store
            env["PYTHONPATH"] = str((self.BATCH_PROJECT_DIR / "services").resolve())
        return env | {
            "POSTGRES_USER": step.role,
            "POSTGRES_PASSWORD": passwords[step.role].get_secret_value(),
            "DBT_TARGET_PATH": str(self.DBT_TARGET_PATH.resolve()),
            "DBT_LOG_PATH": str(self.DBT_LOG_PATH.resolve()),
            "PYTHONUNBUFFERED": "1",
        }

    def reader(self) -> PostgresSettings:
        """Return the login of the read-only role."""
        return self.model_copy(update={"POSTGRES_USER": "reader", "POSTGRES_PASSWORD": self.READER_PASSWORD})


def _program(path: Path) -> str:
    """Return an absolute path, or the name itself if PATH has to be searched for it.

    Symbolic links are not resolved: the Python of a virtual environment is one.
    """
    return str(path) if len(path.parts) == 1 else str(path.absolute())
