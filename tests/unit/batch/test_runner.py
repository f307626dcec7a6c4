"""Run a step as a child process: retries, time limit, stop, and the loss of the lock."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_analytics.batch import runner
from crypto_analytics.batch.runner import TAIL_LINES, Runner, StepResult
from crypto_analytics.batch.step_definitions import Step


def step(timeout_seconds: int = 20) -> Step:
    return Step("a_step", "services", ("python", "-c", "..."), "reader", timeout_seconds)


class RecordedRunner:
    """A runner with recorded output and waits."""

    def __init__(self, folder: Path, retries: int = 0, problem: Callable[[], str] = str) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []
        self.stop = threading.Event()
        self.runner = Runner(
            folder, self.stop, retries=retries, waits=self._waits, problem=problem, out=self.lines.append
        )

    def _waits(self) -> Iterator[float]:
        for pause in (0.001, 0.002, 0.004):
            self.waits.append(pause)
            yield pause

    def run(self, code: str, timeout_seconds: int = 20) -> StepResult:
        return self.runner.run(step(timeout_seconds), [sys.executable, "-c", code], {"PYTHONUNBUFFERED": "1"})


def test_a_step_that_succeeds_runs_once_and_its_output_is_handed_on(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=2)
    result = recorded.run("import sys; print('out'); print('err', file=sys.stderr)")
    assert (result.exit_code, result.tries, result.succeeded) == (0, 1, True)
    assert {"out", "err"} <= set(recorded.lines)
    assert not recorded.waits


def test_a_step_that_fails_is_tried_again_after_growing_pauses(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=2)
    result = recorded.run("import sys; print('because'); sys.exit(7)")
    assert (result.exit_code, result.tries, result.tail) == (7, 3, ("because",))
    assert recorded.waits == [0.001, 0.002]


def test_a_later_try_may_succeed(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=2)
    code = "from pathlib import Path; p = Path('tried'); found = p.exists(); p.touch(); raise SystemExit(not found)"
    result = recorded.run(code)
    assert (result.exit_code, result.tries) == (0, 2)


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    result = RecordedRunner(tmp_path).run("print(*range(1000), sep='\\n')")
    assert result.tail == tuple(str(number) for number in range(1000 - TAIL_LINES, 1000))


@pytest.fixture
def handles_sigint() -> Iterator[None]:
    """Handle SIGINT as the batch's programs do; a child would inherit that a worker of pytest-xdist ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handles_sigint")
def test_dbt_is_stopped_by_the_signal_at_which_it_cancels_its_queries(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    print('queries cancelled')"
    )
    recorded = RecordedRunner(tmp_path, problem=lambda: "stop it now" if "ready" in recorded.lines else "")
    result = recorded.runner.run(replace(step(), component="dbt"), [sys.executable, "-c", code], {})
    assert not result.succeeded
    assert "queries cancelled" in recorded.lines


def test_a_step_that_does_not_end_is_stopped_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    started = time.monotonic()
    result = RecordedRunner(tmp_path).run(code, timeout_seconds=4)
    assert not result.succeeded
    assert result.tail[-1] == "stopped: not done after 4 s"
    assert time.monotonic() - started < 14
    assert is_gone(int((tmp_path / "child").read_text()))


OBEYS = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint('ready')\ntime.sleep(600)"
)


def test_a_step_that_was_timed_out_and_exits_with_0_has_failed_and_is_tried_again(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=1)
    result = recorded.run(OBEYS, timeout_seconds=4)
    assert recorded.lines.count("ready") == 2
    assert (result.exit_code, result.tries, result.succeeded) == (124, 2, False)
    assert result.reason == "not done after 4 s"


def test_a_step_that_was_stopped_and_exits_with_0_is_not_done(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=1)
    results: list[StepResult] = []
    thread = threading.Thread(target=lambda: results.append(recorded.run(OBEYS)))
    thread.start()
    while "ready" not in recorded.lines:
        assert thread.is_alive()
    recorded.stop.set()
    thread.join(10)
    assert [(result.exit_code, result.tries, result.succeeded) for result in results] == [(143, 1, False)]


def test_the_signal_that_killed_a_step_is_named(tmp_path: Path) -> None:
    result = RecordedRunner(tmp_path).run("import os; os.kill(os.getpid(), 9)")
    assert (result.exit_code, result.succeeded, result.reason) == (-9, False, "killed by SIGKILL")


def test_a_step_runs_no_longer_than_the_lock_is_held_and_no_retry_begins_without_it(tmp_path: Path) -> None:
    recorded = RecordedRunner(
        tmp_path, retries=1, problem=lambda: "another run has the lock" if "ready" in recorded.lines else ""
    )
    result = recorded.run(OBEYS)
    assert recorded.lines.count("ready") == 1
    assert (result.exit_code, result.tries, result.reason) == (75, 2, "another run has the lock")
    assert result.tail == ("not started: another run has the lock",)


@pytest.mark.parametrize("code", [0, 5])
def test_nothing_that_a_step_started_is_left_behind_when_it_exits(tmp_path: Path, code: int) -> None:
    started = time.monotonic()
    result = RecordedRunner(tmp_path).run(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        f"sys.exit({code})"
    )
    assert result.exit_code == code
    assert time.monotonic() - started < 15
    assert is_gone(int((tmp_path / "child").read_text()))


def is_gone(pid: int) -> bool:
    """Return whether the process has ended; a zombie counts as ended."""
    status = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
    return False


def test_stop_ends_the_child_in_order_and_there_is_no_retry(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path, retries=2)
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "print('ready')\n"
        "time.sleep(600)"
    )
    results: list[StepResult] = []
    thread = threading.Thread(target=lambda: results.append(recorded.run(code)))
    thread.start()
    while "ready" not in recorded.lines:
        assert thread.is_alive()
    recorded.stop.set()
    thread.join(10)
    assert [(result.exit_code, result.tries) for result in results] == [(143, 1)]


def test_a_program_that_is_not_there_names_its_setting(tmp_path: Path) -> None:
    recorded = RecordedRunner(tmp_path)
    result = recorded.runner.run(step(), ["/nowhere/python"], {})
    assert not result.succeeded
    assert "set BATCH_PYTHON_SERVICES" in result.tail[-1]


def test_a_step_that_the_kernel_kills_for_lack_of_memory_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "memory.events"
    counters.write_text("oom 1\noom_kill 1\n")
    monkeypatch.setattr(runner, "_OOM_COUNTERS", (tmp_path / "missing", counters))
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    counted = f"import pathlib; pathlib.Path({str(counters)!r}).write_text('oom 2\\noom_kill 2\\n'); {kill}"

    assert RecordedRunner(tmp_path).run(kill).reason == "killed by SIGKILL"
    assert (
        RecordedRunner(tmp_path).run(counted).reason == "OOM-killed: it needed more memory than its container's limit"
    )
