"""Read the batch's settings: each step has its own login, program and paths."""

import sys
from pathlib import Path

import pytest

from crypto_analytics.batch.settings import BatchSettings
from crypto_analytics.batch.step_definitions import STEPS

BY_NAME = {step.name: step for step in STEPS}
INHERITED = {
    "PATH": "/bin",
    "PYTHONPATH": "services",
    "METRICS_PORT": "9100",
    "WRITER_PASSWORD": "w",
    "TRANSFORMER_PASSWORD": "t",
    "GATE_PASSWORD": "g",
    "READER_PASSWORD": "r",
    "SUPERUSER_PASSWORD": "s",
    "ALERT_WEBHOOK_URL": "https://example.org/secret",
    "POSTGRES_HOST": "db",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> BatchSettings:
    for name, value in INHERITED.items():
        monkeypatch.setenv(name, value)
    for name in ("BATCH_PYTHON_SERVICES", "BATCH_PYTHON_GE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BATCH_DBT", "env/dbt/bin/dbt")
    return BatchSettings()  # type: ignore[call-arg]


def test_each_step_gets_its_own_login_and_no_other_secret(settings: BatchSettings) -> None:
    for name, login in {
        "backfill_recent": ("writer", "w"),
        "dbt_gold": ("transformer", "t"),
        "ge_validate": ("gate", "g"),
        "export_lake": ("reader", "r"),
    }.items():
        env = settings.environment(BY_NAME[name], INHERITED)
        assert (env["POSTGRES_USER"], env["POSTGRES_PASSWORD"]) == login
        assert env["POSTGRES_HOST"] == "db"
        assert {key for key in env if key.endswith("_PASSWORD")} == {"POSTGRES_PASSWORD"}
        assert "ALERT_WEBHOOK_URL" not in env
        assert "METRICS_PORT" not in env


def test_the_services_code_is_not_on_the_path_of_the_others(settings: BatchSettings) -> None:
    assert settings.environment(BY_NAME["export_lake"], INHERITED)["PYTHONPATH"] == "services"
    assert "PYTHONPATH" not in settings.environment(BY_NAME["dbt_gold"], INHERITED)


def test_the_gate_sees_the_services_code_but_not_their_libraries(settings: BatchSettings) -> None:
    inherited = {**INHERITED, "PYTHONPATH": "site-packages"}
    assert settings.environment(BY_NAME["ge_validate"], inherited)["PYTHONPATH"] == str(Path.cwd() / "services")


def test_folders_hold_in_any_working_directory(settings: BatchSettings) -> None:
    env = settings.environment(BY_NAME["dbt_gold"], INHERITED)
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH"):
        assert Path(env[name]).is_absolute()


def test_each_component_has_its_program(settings: BatchSettings) -> None:
    assert settings.command(BY_NAME["export_lake"])[:2] == [sys.executable, "-m"]
    assert settings.command(BY_NAME["dbt_gold"])[:2] == [str(Path.cwd() / "env/dbt/bin/dbt"), "run"]
    assert settings.command(BY_NAME["ge_validate"]) == ["python", "-m", "ge"]


def test_the_locks_login_is_the_readers(settings: BatchSettings) -> None:
    reader = settings.reader()
    assert (reader.POSTGRES_USER, reader.POSTGRES_PASSWORD.get_secret_value(), reader.POSTGRES_HOST) == (
        "reader", "r", "db",
    )  # fmt: skip
