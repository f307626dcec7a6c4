"""Start child processes, restart those that die, and stop all of them in the reverse order of their start.

Everything happens in the main thread: :meth:`Supervisor.wait_until` checks the children each time it checks its
condition. On Linux the kernel signals a child when its supervisor dies, even by kill -9; it does so when the *thread*
that started the child ends, which is why there is only one.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from crypto_analytics.runtime.retry import backoff
from ops.common import child_environment
from ops.common.errors import Problem
from ops.common.file_lock import FileLock
from ops.common.processes import ProcessRecord, stop
from ops.local.child_records import MARK, ChildRecords
from ops.local.programs import WRONG_SETTINGS, Program

STOP_SECONDS = 10.0  # for a service to drain; then it is killed
STEADY_SECONDS = 30.0  # a child that ran for so long starts a new series of restarts
MAX_RESTARTS = 10  # deaths in a row, each sooner than that
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def run_lock(state: Path) -> FileLock:
    """Return the lock of a state folder, which one run at a time uses."""
    return FileLock(
        state / "run" / "lock",
        lambda holder: Problem(f"{state} is in use", f"a run with process id {holder} has it", "make stop"),
    )


class Interrupted(Exception):
    """The run was asked to stop (Ctrl-C, SIGTERM); raised only while waiting, where stopping is safe."""


@dataclass
class Child:
    """A program that was started: its process, its record on disk, and the state of its restarts."""

    program: Program
    process: subprocess.Popen[bytes]
    record: ProcessRecord
    started: float
    deaths_in_a_row: int = 0
    delays: Iterator[float] = field(default_factory=backoff)
    restart_at: float | None = None
    log_start: int = 0

    def first_line(self, log: Path) -> str:
        """Return the first line that this process wrote, which names the first wrong setting where one is wrong."""
        with log.open("rb") as file:
            file.seek(self.log_start)
            lines = (line.decode(errors="replace").strip() for line in file)
            return next((line for line in lines if line), "")


class Supervisor:
    """Keeps programs running until the end of its ``with`` block, which leaves no process behind."""

    def __init__(
        self,
        state: Path,
        *,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_death: Callable[[str, int], None] = lambda name, code: None,
    ) -> None:
        """Keep logs and records under ``state``.

        Once ``stop`` is set every wait ends with :class:`Interrupted`; ``on_death`` is called with (name, exit code).
        """
        self.state = state.resolve()
        self.logs = self.state / "logs"
        self.records = ChildRecords(self.state)
        self.restarts: dict[str, int] = {}  # by name, also of children that have ended
        self._children: dict[str, Child] = {}
        self._clock = clock
        self._sleep = sleep
        self._on_death = on_death
        self._stop = stop or threading.Event()
        self._lock = run_lock(self.state)
        self.leftovers: list[str] = []  # the children of a killed run that were stopped at the start

    def __enter__(self) -> Self:
        """Lock the state folder and stop the processes that a killed run left behind.

        Raises:
            Problem: another run uses the folder.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        self.leftovers = self.records.stop_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()
        self._lock.release()

    @property
    def is_stopped(self) -> bool:
        """Whether the run was asked to stop."""
        return self._stop.is_set()

    def log_of(self, name: str) -> Path:
        """Return the file of a child's output."""
        return self.logs / f"{name}.log"

    def is_known(self, name: str) -> bool:
        """Return whether a child of that name was started and not stopped."""
        return name in self._children

    def pid(self, name: str) -> int:
        """Return the current process id of a child."""
        return self._children[name].process.pid

    def start(self, *programs: Program) -> None:
        """Start the programs in parallel; :meth:`wait_ready` waits for them."""
        for program in programs:
            if program.name in self._children:
                raise ValueError(f"{program.name} runs already")
            program.prepare()
            log_start = self._log_size(program.name)
            process, record = self._spawn(program)
            self._children[program.name] = Child(program, process, record, self._clock(), log_start=log_start)
            if program.restart:
                self.restarts.setdefault(program.name, 0)

    def wait_ready(self, *names: str) -> None:
        """Wait until the children are ready.

        Raises:
            Problem: one was not ready in its time, or died too often.
        """
        for name in names:
            program = self._children[name].program
            self.wait_until(program.ready, program.ready_seconds, f"{name} is not ready")

    def wait_until(self, condition: Callable[[], bool], seconds: float, otherwise: str, *, every: float = 0.05) -> None:
        """Watch the children until ``condition`` holds.

        Raises:
            Problem: it did not within ``seconds``; ``otherwise`` is the error then.
            Interrupted: the run was asked to stop.
        """
        deadline = self._clock() + seconds
        while True:
            if self._stop.is_set():
                raise Interrupted
            self.watch()
            if condition():
                return
            if self._clock() > deadline:
                raise Problem(otherwise, f"waited {seconds:.0f} s", f"see the logs: ls {self.logs}")
            self._sleep(every)

    def run(self, program: Program, seconds: float) -> int:
        """Run a job to its end and return its exit code; see :meth:`finish`."""
        self.start(program)
        return self.finish(program.name, seconds)

    def finish(self, name: str, seconds: float) -> int:
        """Wait for the end of a job that was started, and return its exit code.

        Raises:
            Problem: it took longer than ``seconds``; it is stopped then.
        """
        process = self._children[name].process
        try:
            self.wait_until(lambda: process.poll() is not None, seconds, f"{name} did not end")
        finally:
            self.stop(name)
        code: int = process.returncode
        return code

    def watch(self) -> None:
        """Restart the children that have died, with backoff.

        Raises:
            Problem: a child died too often.
        """
        for child in self._children.values():
            if not child.program.restart:
                continue
            if child.restart_at is None and (code := child.process.poll()) is not None:
                self._handle_death(child, code)
            if child.restart_at is not None and self._clock() >= child.restart_at:
                child.program.prepare()
                child.log_start = self._log_size(child.program.name)
                child.process, child.record = self._spawn(child.program)
                child.started, child.restart_at = self._clock(), None
                self.restarts[child.program.name] += 1

    def _handle_death(self, child: Child, code: int) -> None:
        name = child.program.name
        if code == WRONG_SETTINGS:
            log = self.log_of(name)
            cause = child.first_line(log) or f"it ended with exit code {code}"
            raise Problem(f"{name} cannot start", cause, f"correct that, then run it again; see: tail -n 30 {log}")
        if self._clock() - child.started > STEADY_SECONDS:
            child.deaths_in_a_row, child.delays = 0, backoff()
        child.deaths_in_a_row += 1
        if child.deaths_in_a_row > MAX_RESTARTS:
            raise Problem(
                f"{name} does not stay up",
                f"it ended {child.deaths_in_a_row} times in a row, last with exit code {code}",
                f"see: tail -n 30 {self.log_of(name)}",
            )
        stop(*self.records.members(child.record), grace_seconds=0)  # the processes that it had started
        child.restart_at = self._clock() + next(child.delays)
        self._on_death(name, code)

    def stop_all(self) -> None:
        """Stop the children in the reverse order of their start; an error at one does not keep the others running."""
        with ExitStack() as stack:
            for name in self._children:
                stack.callback(self.stop, name)

    def stop(self, name: str) -> None:
        """Stop one child and all processes that it started: its signal, ten seconds' grace, then SIGKILL."""
        child = self._children[name]
        stop(child.process, grace_seconds=STOP_SECONDS, signum=child.program.stop_signal)
        stop(*self.records.members(child.record), grace_seconds=1)
        del self._children[name]
        self.records.remove(name)

    def _log_size(self, name: str) -> int:
        log = self.log_of(name)
        return log.stat().st_size if log.exists() else 0

    def _spawn(self, program: Program) -> tuple[subprocess.Popen[bytes], ProcessRecord]:
        account = program.account
        by_launcher = account is not None and bool(account.launcher)
        command = [*(account.launcher if account else ()), *program.command]
        given = child_environment.plain(os.environ) if program.env is None else program.env
        env = dict(given) | {MARK: self.records.mark(program.name)}
        with self.log_of(program.name).open("ab") as output:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account and not by_launcher else None,
                group=account.gid if account and not by_launcher else None,
                extra_groups=[] if account and not by_launcher else None,
                preexec_fn=_die_with_parent(program.death_signal),  # noqa: PLW1509  # takes no lock
            )
        return process, self.records.add(program.name, process.pid)


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return a function: the child asks the kernel for ``death_signal`` when this process ends; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent ended before the call above
            os._exit(1)

    return arrange
