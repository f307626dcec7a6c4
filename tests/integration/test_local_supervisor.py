"""Children that die are restarted, and none outlives its supervisor, however that ends."""

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops.common.errors import Problem
from ops.local.child_records import MARK
from ops.local.programs import Program
from ops.local.supervisor import Interrupted, Supervisor
from tests.absurd_environment import absurd
from tests.servers import ROOT

SLEEP = "import time; time.sleep(600)"


def python(name: str, code: str, **options: object) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path) as running:
        yield running


def test_a_child_that_is_killed_is_started_again(supervisor: Supervisor) -> None:
    supervisor.start(python("child", SLEEP))
    first = supervisor.pid("child")
    os.kill(first, signal.SIGKILL)
    supervisor.wait_until(lambda: supervisor.restarts["child"] == 1, 20, "it is not started again")
    assert supervisor.pid("child") != first
    assert not is_gone(supervisor.pid("child"))


def test_processes_that_a_killed_child_had_started_are_stopped_too(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = (
        "import subprocess, sys, pathlib\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "child.wait()"
    )
    supervisor.start(python("parent", code))
    supervisor.wait_until(lambda: note.exists() and note.read_text() != "", 20, "no grandchild")
    grandchild = int(note.read_text())
    os.kill(supervisor.pid("parent"), signal.SIGKILL)
    supervisor.wait_until(lambda: is_gone(grandchild), 20, "the grandchild is still there")


def test_a_child_that_never_stays_up_is_a_problem(tmp_path: Path) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:  # the clock skips the waits before restarts; the children are real
        nonlocal now
        now += 1.0
        time.sleep(0.005)

    deaths: list[tuple[str, int]] = []
    with Supervisor(tmp_path, clock=lambda: now, sleep=sleep, on_death=lambda *death: deaths.append(death)) as running:
        running.start(python("weak", "raise SystemExit(3)"))
        with pytest.raises(Problem, match=r"weak does not stay up: .* last with exit code 3; see: tail .*weak.log"):
            running.wait_until(lambda: False, 10_000, "never")
    assert set(deaths) == {("weak", 3)}


def test_wrong_settings_are_reported_once_and_nothing_is_restarted(tmp_path: Path) -> None:
    """Exit code 2 means that no restart can help; the line is the last start's, not that of an earlier run."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "wrong.log").write_text("a line of an earlier run\n")
    code = (
        "import sys\n"
        "print('wrong: SIM_RATE: Input should be greater than or equal to 0', file=sys.stderr)\n"
        "print('wrong: correct these environment variables', file=sys.stderr)\n"
        "raise SystemExit(2)"
    )
    deaths: list[tuple[str, int]] = []
    with Supervisor(tmp_path, on_death=lambda *death: deaths.append(death)) as running:
        running.start(python("wrong", code, ready=lambda: False))
        with pytest.raises(Problem, match=r"^wrong cannot start: wrong: SIM_RATE: Input should .* equal to 0; correct"):
            running.wait_ready("wrong")
        assert running.restarts == {"wrong": 0}
    assert deaths == []


def test_a_child_without_an_environment_of_its_own_gets_none_of_the_callers(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in absurd().items():
        monkeypatch.setenv(name, value)
    assert supervisor.run(python("job", "import os; print(sorted(os.environ))", restart=False), 20) == 0
    seen = set(ast.literal_eval(supervisor.log_of("job").read_text()))
    assert seen <= {"PATH", "LD_LIBRARY_PATH", "JAVA_HOME", "HOME", "LANG", "TZ", MARK}


def test_a_child_that_does_not_become_ready_is_a_problem(supervisor: Supervisor) -> None:
    supervisor.start(python("slow", SLEEP, ready=lambda: False, ready_seconds=0.2))
    with pytest.raises(Problem, match="slow is not ready"):
        supervisor.wait_ready("slow")


def test_a_job_ends_by_itself_and_keeps_its_output(supervisor: Supervisor) -> None:
    assert supervisor.run(python("job", "print('done'); raise SystemExit(7)", restart=False), 20) == 7
    assert supervisor.log_of("job").read_text() == "done\n"
    assert supervisor.restarts == {}


def test_a_child_that_ignores_its_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.local.supervisor.STOP_SECONDS", 0.3)
    ready = tmp_path / "ready"
    code = f"import signal, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path({str(ready)!r}).touch(); {SLEEP}"
    with Supervisor(tmp_path) as running:
        running.start(python("deaf", code, ready=ready.exists))
        running.wait_ready("deaf")
        pid = running.pid("deaf")
    assert is_gone(pid)


def test_children_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    story = tmp_path / "story"
    code = (
        "import signal, sys, time, pathlib\n"
        "def stop(*_):\n"
        f"    with open({str(story)!r}, 'a') as f: f.write(sys.argv[1] + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"pathlib.Path({str(tmp_path)!r}, sys.argv[1]).touch()\n"
        "time.sleep(600)"
    )
    with Supervisor(tmp_path / "state") as running:
        for name in ("server", "consumer", "producer"):
            command = [sys.executable, "-c", code, name]
            running.start(Program(name=name, command=command, ready=(tmp_path / name).exists))
        running.wait_ready("server", "consumer", "producer")
    assert story.read_text() == "producer consumer server "


def test_a_stop_ends_every_wait(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with Supervisor(tmp_path, stop=stop) as running:
        running.start(python("child", SLEEP))
        pid = running.pid("child")
        with pytest.raises(Interrupted):
            running.wait_until(lambda: False, 60, "never")
    assert is_gone(pid)


OTHER = """
import pathlib, sys, time
from ops.local.supervisor import Program, Supervisor
state = pathlib.Path(sys.argv[1])
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
with Supervisor(state) as supervisor:
    supervisor.start(Program(name="child", command=[sys.executable, "-c", deaf]))
    (state / "pid").write_text(str(supervisor.pid("child")))
    supervisor.wait_until(lambda: False, 600, "never")
"""


def another_supervisor(state: Path, code: str = OTHER) -> tuple[subprocess.Popen[bytes], int]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
    process = subprocess.Popen([sys.executable, "-c", code, str(state)], env=env)
    wait_for(lambda: (state / "pid").exists() and (state / "pid").read_text() != "")
    return process, int((state / "pid").read_text())


def test_a_supervisor_killed_with_9_takes_its_children_along(tmp_path: Path) -> None:
    process, child = another_supervisor(tmp_path)
    process.kill()
    process.wait()
    wait_for(lambda: is_gone(child))


def test_the_next_run_stops_the_orphans_of_a_killed_one(tmp_path: Path) -> None:
    """Without the kernel's death signal, the next run finds the children by their recorded process ids."""
    lost = OTHER.replace(
        "with Supervisor",
        "import ops.local.supervisor\nops.local.supervisor._die_with_parent = lambda signum: None\nwith Supervisor",
    )
    process, child = another_supervisor(tmp_path, lost)
    process.kill()
    process.wait()
    assert not is_gone(child)
    with Supervisor(tmp_path, sleep=time.sleep) as running:
        assert running.leftovers == ["child"]
        assert is_gone(child)


def test_two_supervisors_do_not_share_a_folder(tmp_path: Path) -> None:
    process, child = another_supervisor(tmp_path)
    try:
        with pytest.raises(Problem, match=f"a run with process id {process.pid} has it"), Supervisor(tmp_path):
            pytest.fail("both have it")
        assert not is_gone(child)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: is_gone(child))
