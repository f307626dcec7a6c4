"""`make env`: random passwords, generated once, private to their owner, never printed."""

import base64
import re
from pathlib import Path

import pytest

from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import env_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_it_is_written_with_random_passwords_and_is_private(file: Path) -> None:
    made = env_file.ensure(file)

    values = env_file.load(file)
    assert made.is_new
    assert made.added == env_file.NAMES
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(values) == set(env_file.NAMES)
    assert len(set(values.values())) == len(env_file.NAMES)
    values = dict(values)
    fernet, jwt = values.pop("AIRFLOW_FERNET_KEY"), values.pop("AIRFLOW_JWT_SECRET")
    assert len(base64.urlsafe_b64decode(fernet)) == 32
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}", jwt)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", value) for value in values.values())
    assert [path.name for path in file.parent.iterdir()] == [".env"]


def test_existing_lines_are_kept_unchanged(file: Path) -> None:
    env_file.ensure(file)
    before = file.read_bytes()

    made = env_file.ensure(file)

    assert not made.is_new
    assert made.added == ()
    assert file.read_bytes() == before


def test_a_missing_password_is_added_and_nothing_else_changes(file: Path) -> None:
    env_file.ensure(file)
    lines = file.read_text().splitlines(keepends=True)
    without = "".join(line for line in lines if not line.startswith("READER_PASSWORD=")) + "# mine\nKAFKA_PORT=19092"
    file.write_text(without)

    made = env_file.ensure(file)

    assert made.added == ("READER_PASSWORD",)
    assert file.read_text().startswith(without + "\nREADER_PASSWORD=")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_other_users_can_read_is_refused(file: Path) -> None:
    env_file.ensure(file)
    file.chmod(0o640)

    for use in (env_file.ensure, env_file.load):
        with pytest.raises(Problem, match=r"can be read by others.*chmod 600 \.env"):
            use(file)


def test_an_empty_password_is_refused_and_not_replaced(file: Path) -> None:
    env_file.ensure(file)
    broken = re.sub(r"^WRITER_PASSWORD=.*$", "WRITER_PASSWORD=", file.read_text(), flags=re.MULTILINE)
    file.write_text(broken)

    for use in (env_file.ensure, env_file.load):
        with pytest.raises(Problem, match="WRITER_PASSWORD is empty"):
            use(file)
    assert file.read_text() == broken


def test_without_the_file_the_error_names_make_env(file: Path) -> None:
    with pytest.raises(Problem, match=r"\.env is missing.*make env"):
        env_file.load(file)


def test_the_result_is_printed_without_a_password(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(env_file, "FILE", file)

    assert env_file.main(OpsSettings(), []) == 0
    assert env_file.main(OpsSettings(), []) == 0

    captured = capsys.readouterr()
    assert f"written with {len(env_file.NAMES)} random passwords" in captured.out
    assert "unchanged" in captured.out
    assert not any(value in captured.out + captured.err for value in env_file.load(file).values())
