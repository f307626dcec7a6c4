"""Identify processes of this machine although process ids are reused, and stop them, with SIGKILL if necessary."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

_SAME_SECONDS = 2.0  # psutil derives creation times from the boot time, which moves a little when the clock is set
_KILL_SECONDS = 10.0


@dataclass(frozen=True)
class ProcessRecord:
    """Identity of a process, as saved on disk: a name for messages, its id, and its creation time in epoch seconds.

    The id alone does not identify a process: the kernel gives it to another one after the process has ended.
    """

    name: str
    pid: int
    created: float

    @classmethod
    def of(cls, name: str, pid: int) -> "ProcessRecord":
        """Return the record of a running process."""
        return cls(name, pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the recorded process; None if it has ended, even if another process has its id."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_SECONDS
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


def matching(condition: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Return the processes that meet ``condition``, without those that this user may not inspect."""
    found = []
    for process in psutil.process_iter():
        try:
            if condition(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended meanwhile, or belongs to another user
    return found


def stop(
    *processes: "psutil.Process | subprocess.Popen[bytes]",
    grace_seconds: float,
    signum: signal.Signals = signal.SIGTERM,
) -> None:
    """Send ``signum`` to the processes, kill those that remain after the grace, and wait until all have ended."""
    _signal(processes, signum)
    remaining = _remaining(processes, grace_seconds)
    _signal(remaining, signal.SIGKILL)
    _remaining(remaining, _KILL_SECONDS)


def _signal(processes: "Iterable[psutil.Process | subprocess.Popen[bytes]]", signum: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(signum)
        except psutil.NoSuchProcess:
            continue


def _remaining(
    processes: "Iterable[psutil.Process | subprocess.Popen[bytes]]", seconds: float
) -> "list[psutil.Process | subprocess.Popen[bytes]]":
    """Wait until the processes have ended, together at most ``seconds``; return those that still run."""
    deadline = time.monotonic() + seconds
    remaining = []
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            remaining.append(process)
    return remaining
