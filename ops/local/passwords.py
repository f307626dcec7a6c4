"""The passwords of the embedded run: random, made on the first start, in one file that only its owner reads."""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops.common.errors import Problem
from ops.local.postgres import new_password


@dataclass(frozen=True, repr=False)
class Passwords:
    """One a role; ``superuser`` is for migrations and for looking around.

    ``superset_admin`` is who logs in to the dashboard, ``superset_session`` signs its sessions.
    """

    superuser: str
    writer: str
    transformer: str
    gate: str
    producer: str
    reader: str
    superset: str
    superset_admin: str
    superset_session: str


def load(path: Path) -> Passwords:
    """Return the passwords in ``path``; the file is made if there is none.

    A role that is newer than the file gets its password now: every start sets the roles'. The superuser's is set once.

    Raises:
        Problem: the file is damaged.
    """
    names = [field.name for field in fields(Passwords)]
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line) if path.exists() else ()
    values = {name.removesuffix("_PASSWORD").lower(): value for name, _, value in lines}
    if path.exists() and not (values.get("superuser") and all(values.values())):
        raise Problem(f"{path} is damaged", "a password is missing", f"rm {path} and start afresh: make clean")
    passwords = Passwords(**{name: values.get(name) or new_password() for name in names})
    if values.keys() != set(names):
        _write(path, passwords)
    return passwords


def _write(path: Path, passwords: Passwords) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name.upper()}_PASSWORD={value}\n" for name, value in asdict(passwords).items())
    unfinished.replace(path)
