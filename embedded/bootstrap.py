"""Make virtual environments from the hashed locks, then run a program in the first: ``ENV... [--java] [-- ARGS]``.

Runs with the host's Python and its standard library alone. An environment carries the hash of the lock it was made
from; one whose hash is right is used as it is, so that a second run costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from embedded import jars, preflight
from embedded.problems import Problem

ROOT = Path(__file__).resolve().parents[1]
STAMP = "made-from"


def demo_dir() -> Path:
    """Return the one folder of the checkout that is written to (DEMO_DIR, default .demo)."""
    return ROOT / (os.environ.get("DEMO_DIR") or ".demo")


def python_of(name: str) -> Path:
    """Return the interpreter of the environment ``name``."""
    return demo_dir() / "venv" / name / "bin" / "python"


def environment() -> dict[str, str]:
    """Return this process's environment with what every Python of the run needs: bytecode stays out of the checkout.

    It is written all the same: without it each of the many short processes would compile its libraries anew.
    """
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)]),
        "PYTHONPYCACHEPREFIX": str(demo_dir() / "pycache"),
        "DEMO_DIR": str(demo_dir()),
    }


def ensure(name: str) -> Path:
    """Return the interpreter of the environment ``name``, after making it if it is missing or outdated.

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
    """Return a uv of the pinned version, in an environment that pip made."""
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
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, env=env)
    if done.returncode != 0:
        said = f"{Path(command[0]).name} exited with {done.returncode}, its message is above"
        raise Problem(f"the environment {name} could not be made", said, "mend that and run the same command again")


def main(arguments: list[str]) -> int:
    """Check, make the environments, and become the program; return 2 where the user has to mend something first."""
    os.umask(0o022)  # PostgreSQL's programs must stay usable for the user that root runs them as
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, program = arguments[:cut], arguments[cut + 1 :]
    checks = [preflight.python, lambda: preflight.disk(demo_dir())]
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
        os.execve(pythons[0], [str(pythons[0]), *program], environment())  # noqa: S606  # no shell is wanted
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
