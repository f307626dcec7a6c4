"""Files that declare what a server is to hold (YAML): read and checked whole, before anything is touched."""

from pathlib import Path
from typing import TypeVar

import msgspec
import yaml
from pydantic import SecretStr
from pydantic_settings import BaseSettings

Declared = TypeVar("Declared")


class BadDeclaration(Exception):
    """A file that declares something is missing, is no YAML, or says what cannot be meant."""


def read(path: Path, kind: type[Declared]) -> Declared:
    """Return what the file declares.

    Raises:
        BadDeclaration: with the file, the place in it and the cause.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise BadDeclaration(f"{path} cannot be read: {error.strerror}; set ACCESS_FILE to the file") from error
    except yaml.YAMLError as error:
        raise BadDeclaration(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise BadDeclaration(f"{path}: {error}") from error


def passwords(settings: BaseSettings, prefix: str, users: list[str]) -> dict[str, str]:
    """Return each user's password: the setting that is called ``prefix`` and the user's name.

    Raises:
        BadDeclaration: there is no such setting.
    """
    found = {}
    for user in users:
        name = f"{prefix}{user.upper().replace('-', '_')}"
        secret = getattr(settings, name, None)
        if not isinstance(secret, SecretStr):
            raise BadDeclaration(f"the user {user} is declared, but there is no setting {name}: add it to the settings")
        found[user] = secret.get_secret_value()
    return found


def repeated(names: list[str]) -> list[str]:
    """Return the names that occur more than once."""
    return sorted({name for name in names if names.count(name) > 1})
