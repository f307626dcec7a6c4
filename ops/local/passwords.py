"""Generate the random passwords of the local run, and keep them in a file that only its owner can read."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops.common import secret_files
from ops.common.errors import Problem
from ops.local import postgres
from ops.local.run_folders import RunFolders


@dataclass(frozen=True, repr=False)
class Passwords:
    """Passwords of the roles; the migrations and psql use ``superuser``.

    ``superset_admin`` is the login of the dashboard, ``superset_session`` the key that signs its sessions.
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
    """Return the passwords in ``path``, and create the file if it does not exist.

    A role that the file lacks gets a new password, because each start sets the passwords of all roles. Only the
    superuser's password is set once, when the database cluster is created.

    Raises:
        Problem: the file is damaged.
    """
    names = [field.name for field in fields(Passwords)]
    written = secret_files.values(path.read_text()) if path.exists() else {}
    values = {name.removesuffix("_PASSWORD").lower(): value for name, value in written.items()}
    if path.exists() and not (values.get("superuser") and all(values.values())):
        raise Problem(f"{path} is damaged", "a password is missing", "restore it, or remove all local runs: make clean")
    passwords = Passwords(**{name: values.get(name) or postgres.new_password() for name in names})
    if values.keys() != set(names):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name.upper()}_PASSWORD={value}\n" for name, value in asdict(passwords).items()]
        secret_files.write(path, "".join(lines))
    return passwords


def load_of_run(folders: RunFolders) -> Passwords:
    """Return the passwords of a run whose database exists; see :func:`check_file` and :func:`load`."""
    check_file(folders)
    return load(folders.secrets)


def check_file(folders: RunFolders) -> None:
    """Check that the file of the passwords exists if the run has a database, which only they open.

    Raises:
        Problem: it is missing.
    """
    if postgres.has_cluster(folders.postgres) and not folders.secrets.exists():
        cause = f"the database in {folders.postgres} was created with the passwords in it and opens with no others"
        raise Problem(f"{folders.secrets} is missing", cause, restore_hint(folders))


def restore_hint(folders: RunFolders) -> str:
    """Return the next command where the file of the passwords is not the one that the run's database needs."""
    if folders.mode == "play":
        return f"restore {folders.secrets}, or play again from empty stores: make demo"
    return f"restore {folders.secrets}, or remove the data of this run: rm -rf {shlex.quote(str(folders.state))}"
