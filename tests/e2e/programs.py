"""Run kubectl, helm, docker and the like; what they say on failure is in the test's message."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT


class ProgramFailed(AssertionError):
    """A program ended with another exit code than 0; the text has its last words."""


@dataclass(frozen=True)
class Done:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str


def attempt(
    *command: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None, seconds: float = 120
) -> Done:
    """Run a program in the checkout's root to its end, whatever that is; ``env`` comes on top of this environment."""
    arguments = [str(part) for part in command]
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done = subprocess.run(
        arguments,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        timeout=seconds,
        **given,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run(
    *command: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None, seconds: float = 120
) -> str:
    """Return what a program prints.

    Raises:
        ProgramFailed: it did not end with 0.
    """
    done = attempt(*command, stdin=stdin, env=env, seconds=seconds)
    if done.code:
        said = "\n".join((done.err or done.out).splitlines()[-20:])
        raise ProgramFailed(f"{shlex.join(map(str, command))} ended with {done.code}:\n{said}")
    return done.out
