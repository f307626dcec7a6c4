"""Run one step as a child process: stream its output, bound its time, try it again."""

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

from crypto_analytics.batch.steps import Step

TAIL_LINES = 12
_STOP_SECONDS = 8.0
_OUTPUT_SECONDS = 5.0
_NOT_STARTED = 127
# Exit codes of a child that was stopped and exits with 0 all the same: nobody knows how much it left undone.
_TIMED_OUT = 124  # as timeout(1) has it
_INTERRUPTED = 143
_LOCK_LOST = 75  # EX_TEMPFAIL of sysexits.h
_SETTING = {"services": "BATCH_PYTHON_SERVICES", "dbt": "BATCH_DBT", "ge": "BATCH_PYTHON_GE"}


@dataclass(frozen=True)
class StepResult:
    """How a step went.

    Attributes:
        step: the step.
        exit_code: of the last try; negative: it was killed by that signal; never 0 where it was stopped.
        tries: how many tries there were.
        seconds: how long all of them took.
        tail: the last lines of the last try.
        stopped: why the last try was stopped from here; empty where it ended by itself.
    """

    step: Step
    exit_code: int
    tries: int
    seconds: float
    tail: tuple[str, ...]
    stopped: str = ""

    @property
    def reason(self) -> str:
        """Return why it failed, in words."""
        if self.stopped:
            return self.stopped
        if self.exit_code >= 0:
            return f"exit code {self.exit_code}"
        return f"killed by {signal.Signals(-self.exit_code).name}"

    @property
    def succeeded(self) -> bool:
        """Whether the step is done."""
        return self.exit_code == 0


class Runner:
    """Runs steps in a folder until ``stop`` is set; then the child is asked to stop, and killed if it does not."""

    def __init__(
        self,
        folder: Path,
        stop: threading.Event,
        *,
        retries: int,
        pauses: Callable[[], Iterator[float]],
        problem: Callable[[], str] = str,
        out: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        """Keep the settings; ``pauses()`` yields the seconds before each retry.

        ``problem()`` returns why no step may run just now, no text where one may: a try is then stopped and fails.
        """
        self._folder = folder
        self._stop = stop
        self._retries = retries
        self._pauses = pauses
        self._problem = problem
        self._out = out

    def run(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> StepResult:
        """Run ``step`` until it succeeds, its tries are used up, or ``stop`` is set."""
        started = time.monotonic()
        pauses = self._pauses()
        tries = 0
        while True:
            tries += 1
            self._out(f"== {step.name}: {' '.join(step.command)}" + (f" (try {tries})" if tries > 1 else ""))
            exit_code, tail, stopped = self._run_once(step, command, env)
            if exit_code == 0 or tries > self._retries or self._stop.is_set():
                return StepResult(step, exit_code, tries, time.monotonic() - started, tail, stopped)
            pause = next(pauses)
            self._out(f"== {step.name}: failed ({stopped or f'exit code {exit_code}'}); again in {pause:.1f} s")
            if self._stop.wait(pause):
                return StepResult(step, exit_code, tries, time.monotonic() - started, tail, stopped)

    def _run_once(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> tuple[int, tuple[str, ...], str]:
        """Return the exit code, the last lines, and why the child was stopped, if it was."""
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
                start_new_session=True,  # so that its own children can be stopped with it
            )
        except OSError as error:
            write(f"cannot start {command[0]}: {error.strerror}; set {_SETTING[step.component]} to the right program")
            return _NOT_STARTED, tuple(tail), ""
        reader = threading.Thread(target=_read, args=(child, write), name="output", daemon=True)
        reader.start()
        stopped, code = self._follow(child, time.monotonic() + step.timeout_seconds, step)
        # Whatever it started ends with it: nothing of a step goes on beside the next one. It is not collected yet, so
        # that its number is nobody else's.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        exit_code = child.wait()
        reader.join(_OUTPUT_SECONDS)  # a process in a session of its own may keep the output open
        if stopped:
            write(f"stopped: {stopped}")
        return exit_code or code, tuple(line for line in tail if line.strip()), stopped

    def _follow(self, child: subprocess.Popen[str], deadline: float, step: Step) -> tuple[str, int]:
        """Wait until ``child`` has exited; return why it was stopped, if it was, and the least exit code for that."""
        while not _has_exited(child):
            if self._stop.is_set():
                stopped = "the batch was told to stop", _INTERRUPTED
            elif problem := self._problem():
                stopped = problem, _LOCK_LOST
            elif time.monotonic() > deadline:
                stopped = f"not done after {step.timeout_seconds} s", _TIMED_OUT
            else:
                continue
            _end(child, step)
            return stopped
        return "", 0


def _read(child: subprocess.Popen[str], write: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        write(line.rstrip())


def _has_exited(child: subprocess.Popen[str], seconds: float = 0.05) -> bool:
    """Whether ``child`` has exited, or does within ``seconds``; it is not collected."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _end(child: subprocess.Popen[str], step: Step) -> None:
    """Ask the child to stop; kill it if it does not."""
    # dbt cancels its queries at SIGINT alone; at SIGTERM the server would go on with them after the lock is released.
    os.kill(child.pid, signal.SIGINT if step.component == "dbt" else signal.SIGTERM)
    if not _has_exited(child, _STOP_SECONDS):
        os.kill(child.pid, signal.SIGKILL)
