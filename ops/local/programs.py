"""The programs that a run starts: how each is run, and how to check that it is ready."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops.common import child_environment
from ops.common.loopback import accepts
from ops.common.paths import ROOT

WRONG_SETTINGS = 2  # exit code: wrong settings or files, which no restart can fix


@dataclass(frozen=True)
class Account:
    """The user that a child runs as; ``launcher``, where it is not empty, is the command that changes to that user."""

    uid: int
    gid: int
    launcher: tuple[str, ...] = ()


def always() -> bool:
    """Return True: the readiness check of a child that needs none."""
    return True


def nothing() -> None:
    """Do nothing: the preparation of a child that needs none."""


@dataclass(frozen=True)
class Program:
    """How to run a child, and how to check that it is ready.

    Attributes:
        name: names the child in messages, its log file and its record.
        command: program and arguments.
        env: the whole environment; None: that of a plain child (``child_environment.plain``).
        ready: whether the child is ready now; must return quickly.
        ready_seconds: time limit for becoming ready.
        prepare: called before each start and restart.
        stop_signal: asks it to shut down cleanly.
        death_signal: sent by the kernel when the supervisor dies.
        account: another user to run as.
        restart: whether it is restarted when it dies; a job is not, nor is a program that ended with
            ``WRONG_SETTINGS``.
        folder: working directory.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    ready: Callable[[], bool] = always
    ready_seconds: float = 60.0
    prepare: Callable[[], None] = nothing
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    restart: bool = True
    folder: Path | None = None


def service(
    name: str, settings: Mapping[str, str], *, metrics_port: int, python: Path | None = None, outside: bool = False
) -> Program:
    """Return ``python -m crypto_analytics.<name>``; ready once its metrics port accepts connections.

    ``outside``: it connects to the real exchange, through the user's proxies.
    """
    return Program(
        name=name,
        command=[str(python or sys.executable), "-m", f"crypto_analytics.{name}"],
        env={**_environment(outside=outside), **settings, "METRICS_PORT": str(metrics_port)},
        ready=lambda: accepts(metrics_port),
        folder=ROOT,
    )


def job(name: str, module: str, settings: Mapping[str, str], *arguments: str, outside: bool = False) -> Program:
    """Return ``python -m <module>`` as a job: it ends by itself and is not restarted."""
    return Program(
        name=name,
        command=[sys.executable, "-m", module, *arguments],
        env={**_environment(outside=outside), **settings},
        restart=False,
        folder=ROOT,
    )


def fetching_job(name: str, module: str, *arguments: str) -> Program:
    """Return ``python -m <module>`` as a job that fetches packages."""
    return replace(job(name, module, {}, *arguments), env=child_environment.fetcher(os.environ))


def last_line(log: Path) -> str:
    """Return the last line of a job's log; the services end with the next command to type."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _environment(*, outside: bool) -> dict[str, str]:
    further = child_environment.outside(os.environ) if outside else {}
    return {**child_environment.service(os.environ), **further}
