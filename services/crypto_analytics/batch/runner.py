"""Run one step as a child process, with its output streamed, a timeout and retries."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crypto_analytics.batch.step_definitions import Step

TAIL_LINES = 12
_STOP_SECONDS = 8.0
_READ_SECONDS = 5.0
_NOT_STARTED = 127
# Exit codes for a child that was stopped but exits with 0: it may not have finished.
_TIMED_OUT = 124  # as timeout(1)
_INTERRUPTED = 143
_LOCK_LOST = 75  # EX_TEMPFAIL of sysexits.h
# Of the container's cgroup, version 2 and 1.
_OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
_SETTING = {"services": "BATCH_PYTHON_SERVICES", "dbt": "BATCH_DBT", "ge": "BATCH_PYTHON_GE"}


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
        step: the step.
        exit_code: that of the last try; negative for a signal's number; never 0 if the runner stopped the try.
        tries: the number of tries.
        seconds: the duration of all tries together.
        tail: the last lines of the last try's output.
        stopped: why the runner or the kernel stopped the last try; empty if it ended by itself.
    """

    step: Step
    exit_code: int
    tries: int
    seconds: float
    tail: tuple[str, ...]
    stopped: str = ""

    @property
    def reason(self) -> str:
        """Why the step failed."""
        if self.stopped:
            return self.stopped
        if self.exit_code >= 0:
            return f"exit code {self.exit_code}"
        return f"killed by {signal.Signals(-self.exit_code).name}"

    @property
    def succeeded(self) -> bool:
        """Whether the last try succeeded."""
        return self.exit_code == 0


class Runner:
    """Runs steps in a folder until ``stop`` is set; then the child is terminated, and killed if it does not end."""

    def __init__(
        self,
        folder: Path,
        stop: threading.Event,
        *,
        retries: int,
        waits: Callable[[], Iterator[float]],
        problem: Callable[[], str] = str,
        out: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        """Run steps in ``folder``, each with up to ``retries`` retries; ``waits()`` yields the seconds before each.

        ``problem()`` returns why no step may run now, or an empty string. A running try is then stopped and fails.
        """
        self._folder = folder
        self._stop = stop
        self._retries = retries
        self._waits = waits
        self._problem = problem
        self._out = out

    def run(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> StepResult:
        """Run ``step`` until it succeeds, its retries are used up, or ``stop`` is set."""
        started = time.monotonic()
        waits = self._waits()
        tries = 0
        while True:
            tries += 1
            self._out(f"== {step.name}: {' '.join(step.command)}" + (f" (try {tries})" if tries > 1 else ""))
            exit_code, tail, stopped = self._run_once(step, command, env)
            if exit_code == 0 or tries > self._retries or self._stop.is_set():
                return StepResult(step, exit_code, tries, time.monotonic() - started, tail, stopped)
            wait = next(waits)
            self._out(f"== {step.name}: failed ({stopped or f'exit code {exit_code}'}); retrying in {wait:.1f} s")
            if self._stop.wait(wait):
                return StepResult(step, exit_code, tries, time.monotonic() - started, tail, stopped)

    def _run_once(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> tuple[int, tuple[str, ...], str]:
        """Return the exit code, the last lines of the output, and why the runner stopped the child, if it did."""
        tail: deque[str] = deque(maxlen=TAIL_LINES)

        def write(line: str) -> None:
            tail.append(line)
            self._out(line)

        if problem := self._problem():
            write(f"not started: {problem}")
            return _LOCK_LOST, tuple(tail), problem
        try:
            child = subprocess.Popen(
                list(command),
                cwd=self._folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # a process group, so that its children are killed with it
            )
        except OSError as error:
            write(f"cannot start {command[0]}: {error.strerror}; set {_SETTING[step.component]} to the right program")
            return _NOT_STARTED, tuple(tail), ""
        oom_kills_before = _oom_kills()
        reader = threading.Thread(target=_read, args=(child, write), name="output", daemon=True)
        reader.start()
        stopped, code = self._follow(child, time.monotonic() + step.timeout_seconds, step)
        # Its children end with it, so that no part of a step runs beside the next one. The child is not reaped yet, so
        # its process id cannot belong to another process.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        exit_code = child.wait()
        if exit_code == -signal.SIGKILL and not stopped and _oom_kills() > oom_kills_before:
            stopped = "OOM-killed: it needed more memory than its container's limit"
        reader.join(_READ_SECONDS)  # a process in another session may keep the pipe open
        if stopped:
            write(f"stopped: {stopped}")
        return exit_code or code, tuple(line for line in tail if line.strip()), stopped

    def _follow(self, child: subprocess.Popen[str], deadline: float, step: Step) -> tuple[str, int]:
        """Wait until ``child`` exits; return why the runner stopped it, if it did, and the exit code for that."""
        while not _has_exited(child):
            if self._stop.is_set():
                stopped = "the batch was stopped", _INTERRUPTED
            elif problem := self._problem():
                stopped = problem, _LOCK_LOST
            elif time.monotonic() > deadline:
                stopped = f"not done after {step.timeout_seconds} s", _TIMED_OUT
            else:
                continue
            _terminate(child, step)
            return stopped
        return "", 0


def _oom_kills() -> int:
    """Return how many processes of this container the kernel has killed for lack of memory; 0 where it is unknown."""
    for file in _OOM_COUNTERS:
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


def _read(child: subprocess.Popen[str], write: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        write(line.rstrip())


def _has_exited(child: subprocess.Popen[str], seconds: float = 0.05) -> bool:
    """Return whether ``child`` exits within ``seconds``; it is not reaped."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _terminate(child: subprocess.Popen[str], step: Step) -> None:
    """Send the child its stop signal; kill it if it does not exit."""
    # dbt cancels its queries only at SIGINT; after SIGTERM, the server would run them on without the lock.
    os.kill(child.pid, signal.SIGINT if step.component == "dbt" else signal.SIGTERM)
    if not _has_exited(child, _STOP_SECONDS):
        os.kill(child.pid, signal.SIGKILL)
