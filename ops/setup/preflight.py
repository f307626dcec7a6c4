"""Check the machine before anything is installed or started. Readable by an old Python, which it reports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ops.common import child_environment
from ops.common.errors import Problem
from ops.common.loopback import free_or_move, is_free

PYTHON_NEEDED = (3, 11)
JAVA_NEEDED = 17
DISK_NEEDED_BYTES = 2 * 1024**3
_BREW = {"openjdk-17-jre-headless": "openjdk@17", "prometheus-alertmanager": "alertmanager"}  # by Debian's package


def python() -> None:
    """Check the interpreter's version, and that it can create virtual environments."""
    if sys.version_info < PYTHON_NEEDED:
        has, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, PYTHON_NEEDED))
        fix = f"install it and name it: make demo PYTHON=python{needed}"
        raise Problem("Python is too old", f"this is {has} and {needed} or newer is needed", fix)
    try:
        import ensurepip  # noqa: F401, PLC0415  # a separate package on Debian
        import venv  # noqa: F401, PLC0415
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Problem("Python cannot make virtual environments", "ensurepip is missing", install(package)) from None


def java_command() -> str:
    """Return the Java program: that of JAVA_HOME, else the one on the PATH."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def java() -> None:
    """Check that Java is installed and new enough."""
    fix = install("openjdk-17-jre-headless")
    program = shutil.which(java_command())
    if program is None:
        raise Problem("Java is missing", f"{java_command()} was not found", fix)
    output = subprocess.run(
        [program, "-version"], capture_output=True, text=True, check=False, env=child_environment.plain(os.environ)
    ).stderr
    version = java_version(output)
    if version is None:
        raise Problem("Java does not run", f"{program} -version printed: {output or 'nothing'}", fix)
    if version < JAVA_NEEDED:
        raise Problem("Java is too old", f"{program} is version {version} and {JAVA_NEEDED} or newer is needed", fix)


def java_version(output: str) -> int | None:
    """Return the major version in the output of ``java -version`` ('1.8.0_392' is 8), or None."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else None


def maven(jars: Path) -> None:
    """Check that Maven is installed, unless the jars are in the cache."""
    if not jars.is_dir() and shutil.which("mvn") is None:
        raise Problem("Maven is missing", "mvn was not found and the jars are not fetched yet", install("maven"))


def disk(folder: Path) -> None:
    """Check the free space of the disk that holds DEMO_DIR."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < DISK_NEEDED_BYTES:
        has = f"{free / 1024**3:.1f} GB free where {DISK_NEEDED_BYTES / 1024**3:.0f} GB are needed"
        raise Problem(
            "the disk is full", f"{existing} has {has}", "free some, or: make demo DEMO_DIR=/a/larger/disk/demo"
        )


def port(setting: str, number: int) -> None:
    """Check that the port of ``setting`` is free; 0 stands for any free port."""
    if number and not is_free(number):
        fix = free_or_move(setting, number, "make demo")
        raise Problem(f"port {number} is in use", f"{setting} is {number} and another program listens on it", fix)


def readable(setting: str, path: Path | None) -> None:
    """Check that the file of ``setting`` can be read."""
    if path is None:
        return
    if not path.is_file():
        raise Problem(f"{path} is no file", f"{setting} names it", f"ls -l {path.parent}")
    if not os.access(str(path), os.R_OK):
        raise Problem(f"{path} cannot be read", f"{setting} names it", f"chmod a+r {path}")


def problems(checks: Iterable[Callable[[], None]]) -> list[Problem]:
    """Run all checks and return the problems that they found."""
    found = []
    for check in checks:
        try:
            check()
        except Problem as problem:
            found.append(problem)
    return found


def install(package: str) -> str:
    """Return the command that installs a package of Debian, on this system."""
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y {package}"
    if shutil.which("brew"):
        return "brew install " + _BREW.get(package, package)
    return f"install {package} with the system's package manager"
