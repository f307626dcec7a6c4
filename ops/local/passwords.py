"""The passwords of the run: random, made at the first start, in one file that only its owner can read."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops.common import secret_files
from ops.common.errors import Problem
from ops.local.postgres import new_password


@dataclass(frozen=True, repr=False)
class Passwords:
    """One per role; ``superuser`` is for the migrations and for psql.

    ``superset_admin`` logs in to the dashboard, ``superset_session`` signs its sessions.
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

    A role that is newer than the file gets its password now: each start sets the roles' passwords. The superuser's is
    set once, when the database cluster is created.

    Raises:
        Problem: the file is damaged.
    """
    names = [field.name for field in fields(Passwords)]
    written = secret_files.values(path.read_text()) if path.exists() else {}
    values = {name.removesuffix("_PASSWORD").lower(): value for name, value in written.items()}
    if path.exists() and not (values.get("superuser") and all(values.values())):
        raise Problem(f"{path} is damaged", "a password is missing", f"rm {path} and start afresh: make clean")
    passwords = Passwords(**{name: values.get(name) or new_password() for name in names})
    if values.keys() != set(names):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name.upper()}_PASSWORD={value}\n" for name, value in asdict(passwords).items()]
        secret_files.write(path, "".join(lines))
    return passwords
