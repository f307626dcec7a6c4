"""A declaration is read whole or refused, with the place and the cause."""

from pathlib import Path
from threading import Event

import pytest
from msgspec import Struct
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from crypto_analytics.jobs import declarations
from crypto_analytics.runtime.retry import patiently


class Thing(Struct, forbid_unknown_fields=True):
    names: list[str]


class Secrets(BaseSettings):
    PASSWORD_SOME_ONE: SecretStr = SecretStr("")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("names: [1]", "Expected `str`, got `int` - at `$.names[0]`"),
        ("name: [a]", "Object contains unknown field `name`"),
        ("", "Expected `object`, got `null`"),
        ("names: [", "is no YAML"),
        ("names: !!python/name:os.system []", "is no YAML"),
    ],
)
def test_an_invalid_file_is_reported_with_its_path_and_the_place(tmp_path: Path, content: str, cause: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(content)
    with pytest.raises(declarations.BadDeclaration) as refused:
        declarations.read(path, Thing)
    assert str(path) in str(refused.value)
    assert cause in str(refused.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(declarations.BadDeclaration, match=r"none\.yaml cannot be read: No such file"):
        declarations.read(tmp_path / "none.yaml", Thing)


def test_passwords_are_the_settings_named_for_the_users() -> None:
    settings = Secrets(PASSWORD_SOME_ONE=SecretStr("made up"))
    assert declarations.passwords(settings, "PASSWORD_", ["some-one"]) == {"some-one": "made up"}
    with pytest.raises(declarations.BadDeclaration, match="no setting PASSWORD_OTHER"):
        declarations.passwords(settings, "PASSWORD_", ["other"])


def test_retries_end_with_success_another_error_the_time_limit_or_a_stop() -> None:
    told: list[str] = []
    answers = iter([ConnectionError("away"), ConnectionError("still"), "here", ValueError("wrong")])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def patient(seconds: float, stop: Event) -> str:
        return patiently(
            call, passing=ConnectionError, seconds=seconds, stop=stop, tell=lambda error: told.append(str(error))
        )

    assert patient(60, Event()) == "here"
    assert told == ["away", "still"]
    with pytest.raises(ValueError, match="wrong"):
        patient(60, Event())
    answers = iter([ConnectionError("one"), ConnectionError("two")])
    with pytest.raises(ConnectionError, match="one"):
        patient(0, Event())
    stopped = Event()
    stopped.set()
    with pytest.raises(ConnectionError, match="two"):
        patient(60, stopped)
