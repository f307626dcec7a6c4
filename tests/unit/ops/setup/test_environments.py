"""An environment is created once for each lock, and again after a failure."""

import os
from pathlib import Path

import pytest

from ops.common import child_environment
from ops.common.errors import Problem
from ops.setup import environments


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace uv by a function that creates an interpreter and nothing else; return the commands that it gets."""
    made: list[str] = []

    def run(name: str, *command: str) -> None:
        made.append(command[1])
        if command[1] == "venv":
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setenv("DEMO_DIR", str(tmp_path / "demo"))
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "uv", lambda: "uv")
    monkeypatch.setattr(environments, "_run", run)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "services.txt").write_text("msgspec==1\n")
    return made


def test_an_environment_is_created_once(calls: list[str], tmp_path: Path) -> None:
    python = environments.ensure("services")
    assert python == tmp_path / "demo" / "venv" / "services" / "bin" / "python"
    assert calls == ["venv", "pip"]
    environments.ensure("services")
    assert calls == ["venv", "pip"]


def test_a_changed_lock_recreates_the_environment(calls: list[str], tmp_path: Path) -> None:
    environments.ensure("services")
    (tmp_path / "requirements" / "services.txt").write_text("msgspec==2\n")
    environments.ensure("services")
    assert calls == ["venv", "pip", "venv", "pip"]


def test_a_failed_environment_is_created_again(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = environments._run

    def broken(name: str, *command: str) -> None:
        run(name, *command)
        if command[1] == "pip":
            raise Problem("the environment services could not be made", "no network", "try again")

    monkeypatch.setattr(environments, "_run", broken)
    with pytest.raises(Problem):
        environments.ensure("services")
    monkeypatch.setattr(environments, "_run", run)
    environments.ensure("services")
    assert calls == ["venv", "pip", "venv", "pip"]


def test_a_problem_ends_with_exit_code_2(calls: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def fail(name: str, *command: str) -> None:
        raise Problem("the environment services could not be made", "no network", "try again")

    environments._run = fail  # the fixture's monkeypatch puts it back
    assert environments.main(["services"]) == 2
    assert capsys.readouterr().err.endswith("the environment services could not be made: no network; try again\n")


def test_bytecode_stays_out_of_the_checkout(calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    env = child_environment.launcher(os.environ)
    assert env["PYTHONPYCACHEPREFIX"] == str(tmp_path / "demo" / "pycache")
    assert "PYTHONDONTWRITEBYTECODE" not in env
