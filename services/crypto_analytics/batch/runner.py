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
_NOT_STARTED = 127
_SETTING = {"services": "BATCH_PYTHON_SERVICES", "dbt": "BATCH_DBT", "ge": "BATCH_PYTHON_GE"}


@dataclass(frozen=True)
class Outcome:
    """How a step went: exit code of the last try (negative: killed by that signal), its last lines, and the effort."""

    step: Step
    exit_code: int
    tries: int
    seconds: float
    tail: tuple[str, ...]

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
        out: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        """Keep the settings; ``pauses()`` yields the seconds before each retry."""
        self._folder = folder
        self._stop = stop
        self._retries = retries
        self._pauses = pauses
        self._out = out

    def run(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> Outcome:
        """Run ``step`` until it succeeds, its tries are used up, or ``stop`` is set."""
        started = time.monotonic()
        pauses = self._pauses()
        tries = 0
        while True:
            tries += 1
            self._out(f"== {step.name}: {' '.join(step.command)}" + (f" (try {tries})" if tries > 1 else ""))
            exit_code, tail = self._run_once(step, command, env)
            if exit_code == 0 or tries > self._retries or self._stop.is_set():
                return Outcome(step, exit_code, tries, time.monotonic() - started, tail)
            pause = next(pauses)
            self._out(f"== {step.name}: failed with exit code {exit_code}; again in {pause:.1f} s")
            if self._stop.wait(pause):
                return Outcome(step, exit_code, tries, time.monotonic() - started, tail)

    def _run_once(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
        tail: deque[str] = deque(maxlen=TAIL_LINES)

        def tell(line: str) -> None:
            tail.append(line)
            self._out(line)

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
            tell(f"cannot start {command[0]}: {error.strerror}; set {_SETTING[step.component]} to the right program")
            return _NOT_STARTED, tuple(tail)
        reader = threading.Thread(target=_read, args=(child, tell), name="output", daemon=True)
        reader.start()
        deadline = time.monotonic() + step.timeout_seconds
        while (exit_code := _wait(child)) is None:
            if self._stop.is_set():
                _end(child)
            elif time.monotonic() > deadline:
                _end(child)
                reader.join()
                tell(f"stopped: not done after {step.timeout_seconds} s")
        reader.join()
        return exit_code, tuple(line for line in tail if line.strip())


def _read(child: subprocess.Popen[str], tell: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        tell(line.rstrip())


def _wait(child: subprocess.Popen[str], seconds: float = 0.05) -> int | None:
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _end(child: subprocess.Popen[str]) -> None:
    """Ask the child to stop, then kill it and all that it started."""
    child.send_signal(signal.SIGTERM)
    _wait(child, _STOP_SECONDS)
    with suppress(ProcessLookupError):  # nothing is left
        os.killpg(child.pid, signal.SIGKILL)
