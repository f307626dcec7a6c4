"""Read and validate the YAML files that declare the state of a server, before the server is changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml
from pydantic import SecretStr
from pydantic_settings import BaseSettings

Declared = TypeVar("Declared")


class InvalidDeclaration(Exception):
    """A declaration cannot be read, is not valid, or contradicts the settings."""


def read(path: Path, kind: type[Declared]) -> Declared:
    """Return the content of the file as ``kind``.

    Raises:
        InvalidDeclaration: with the file, the place in it and the cause.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InvalidDeclaration(f"{path} cannot be read: {error.strerror}; set ACCESS_FILE to the file") from error
    except yaml.YAMLError as error:
        raise InvalidDeclaration(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise InvalidDeclaration(f"{path}: {error}") from error


def passwords(settings: BaseSettings, prefix: str, users: Sequence[str]) -> dict[str, str]:
    """Return each user's password from the setting named ``prefix`` and the user's name.

    Raises:
        InvalidDeclaration: a user has no such setting.
    """
    found = {}
    for user in users:
        name = f"{prefix}{user.upper().replace('-', '_')}"
        secret = getattr(settings, name, None)
        if not isinstance(secret, SecretStr):
            raise InvalidDeclaration(
                f"the user {user} is declared, but there is no setting {name}: add it to the settings class"
            )
        found[user] = secret.get_secret_value()
    return found


def duplicates(names: Sequence[str]) -> list[str]:
    """Return the names that occur more than once."""
    return sorted({name for name in names if names.count(name) > 1})


def check_configured(configured: Mapping[str, str], declared: Sequence[str]) -> None:
    """Check that the names which the services are configured to use (by setting) are declared.

    Raises:
        InvalidDeclaration: one is not declared.
    """
    for setting, name in configured.items():
        if name not in declared:
            raise InvalidDeclaration(
                f"{setting} is {name}, but only {', '.join(declared)} are declared: declare it, or correct the setting"
            )


def check_administrator(login: str, users: Sequence[str]) -> None:
    """Check that the job's own ``login`` is not declared, which would change its password and permissions meanwhile.

    Raises:
        InvalidDeclaration: it is declared.
    """
    if login in users:
        raise InvalidDeclaration(
            f"the user {login} is the administrator that this job logs in as: remove it from the declared users"
        )
