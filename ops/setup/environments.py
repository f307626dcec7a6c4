"""Make virtual environments, then run a program in the first: ``[--java] [--for KIND] ENV... [-- ARGS]``.

Runs with the host's Python and its standard library alone. KIND is the program's kind of child
(``child_environment``): ``launcher`` by default, ``tests`` or ``tools``. A file in each environment holds the hash of
the lock that it was made from; while the hash matches, the environment is used as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ops.common import child_environment, paths
from ops.common.errors import Problem
from ops.common.paths import ROOT, demo_dir
from ops.setup import jars, preflight

STAMP = "made-from"


def python_of(name: str) -> Path:
    """Return the interpreter of the environment ``name``."""
    return demo_dir() / "venv" / name / "bin" / "python"


def ensure(name: str) -> Path:
    """Return the interpreter of the environment ``name``; create the environment if it is missing or outdated.

    Raises:
        Problem: a package could not be installed.
    """
    lock = ROOT / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    python = python_of(name)
    stamp = python.parents[1] / STAMP
    if stamp.is_file() and stamp.read_text() == digest and python.exists():
        return python
    print(f"making the environment {name} from {lock.relative_to(ROOT)}", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    tool = uv()
    _run(name, tool, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(python.parents[1]))
    _run(name, tool, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock))
    stamp.write_text(digest)
    return python


def uv() -> str:
    """Return the uv of the pinned version, from an environment that pip creates."""
    lock = ROOT / "requirements" / "bootstrap.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    home = demo_dir() / "venv" / "bootstrap"
    stamp = home / STAMP
    if not (stamp.is_file() and stamp.read_text() == digest):
        shutil.rmtree(home, ignore_errors=True)
        _run("bootstrap", sys.executable, "-m", "venv", str(home))
        pip = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run("bootstrap", *pip, "install", "--require-hashes", "--no-deps", "-r", str(lock))
        stamp.write_text(digest)
    return str(home / "bin" / "uv")


def _run(name: str, *command: str) -> None:
    caches = {"XDG_CACHE_HOME": str(jars.cache_home())}
    env = {**child_environment.fetcher(os.environ), **caches, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, env=env)
    if done.returncode != 0:
        cause = f"{Path(command[0]).name} exited with {done.returncode}, its message is above"
        raise Problem(f"the environment {name} could not be made", cause, "fix that and run the same command again")


def main(arguments: list[str]) -> int:
    """Check, create the environments, and exec the program; return 2 where the user has to fix something first."""
    os.umask(0o022)  # root runs PostgreSQL's programs as another user, who must be able to read them
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, program = arguments[:cut], arguments[cut + 1 :]
    kind = "launcher"
    if "--for" in names:
        at = names.index("--for")
        kind = names[at + 1]
        del names[at : at + 2]
    checks = [preflight.python, *folder_checks(demo_dir()), lambda: preflight.disk(demo_dir())]
    if "--java" in names:
        names.remove("--java")
        checks += [preflight.java, lambda: preflight.maven(jars.jars_dir())]
    found = preflight.problems(checks)
    try:
        pythons = [] if found else [ensure(name) for name in names]
    except Problem as problem:
        found, pythons = [problem], []
    for line in found:
        print(line, file=sys.stderr)
    if found:
        return 2
    if program:
        sys.stdout.flush()
        env = child_environment.KINDS[kind](os.environ)
        os.execve(pythons[0], [str(pythons[0]), *program], env)  # noqa: S606  # no shell is wanted
    return 0


def folder_checks(demo: Path) -> list[Callable[[], None]]:
    """Return the checks of the checkout's folder and DEMO_DIR."""
    return [
        lambda: paths.check_name("", ROOT),
        lambda: paths.check_name("DEMO_DIR", demo),
        lambda: paths.check_writable(demo),
    ]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
