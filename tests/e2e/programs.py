"""Run kubectl, helm, docker and other programs; the error of a failed one contains its last lines."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT


class ProgramFailed(AssertionError):
    """A program exited with a code other than 0; the message contains its last lines of output."""


@dataclass(frozen=True)
class Done:
    """The exit code and the output of a program."""

    code: int
    out: str
    err: str


def attempt(
    *command: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None, seconds: float = 120
) -> Done:
    """Run a program in the checkout's root; ``env`` overrides this environment. Any exit code is returned."""
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
    """Run a program and return its output.

    Raises:
        ProgramFailed: its exit code is not 0.
    """
    done = attempt(*command, stdin=stdin, env=env, seconds=seconds)
    if done.code:
        last_lines = "\n".join((done.err or done.out).splitlines()[-20:])
        raise ProgramFailed(f"{shlex.join(map(str, command))} exited with code {done.code}:\n{last_lines}")
    return done.out
