"""A declaration is read whole or refused, with the place and the cause."""

from pathlib import Path

import pytest
from msgspec import Struct
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from crypto_analytics.jobs import declarations


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
        ("names: [", "is not valid YAML"),
        ("names: !!python/name:os.system []", "is not valid YAML"),
    ],
)
def test_an_invalid_file_is_reported_with_its_path_and_the_place(tmp_path: Path, content: str, cause: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(content)
    with pytest.raises(declarations.InvalidDeclaration) as refused:
        declarations.read(path, Thing)
    assert str(path) in str(refused.value)
    assert cause in str(refused.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(declarations.InvalidDeclaration, match=r"none\.yaml cannot be read: No such file"):
        declarations.read(tmp_path / "none.yaml", Thing)


def test_passwords_are_the_settings_named_for_the_users() -> None:
    settings = Secrets(PASSWORD_SOME_ONE=SecretStr("made up"))
    assert declarations.passwords(settings, "PASSWORD_", ["some-one"]) == {"some-one": "made up"}
    with pytest.raises(declarations.InvalidDeclaration, match="no setting PASSWORD_OTHER"):
        declarations.passwords(settings, "PASSWORD_", ["other"])
