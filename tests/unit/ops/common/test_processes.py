"""Processes are stopped by their signal, or by SIGKILL after the grace, and are not mistaken for others."""

import signal
import subprocess
import sys
import time

import psutil

from ops.common.processes import ProcessRecord, matching, stop

_WAITS = "print(flush=True); input()"
_IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_WAITS}"


def started(code: str) -> "subprocess.Popen[bytes]":
    """Return a process that runs ``code`` and has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_process_that_ends_on_the_signal_is_not_killed() -> None:
    with started(_WAITS) as process:
        stop(process, grace_seconds=30)
        assert process.returncode == -signal.SIGTERM


def test_a_process_that_ignores_the_signal_is_killed_after_the_grace() -> None:
    with started(_IGNORES_SIGTERM) as process:
        before = time.monotonic()
        stop(process, grace_seconds=0.3)
        assert process.returncode == -signal.SIGKILL
        assert time.monotonic() - before >= 0.3


def test_several_processes_share_one_grace_and_one_may_have_ended() -> None:
    with started(_IGNORES_SIGTERM) as first, started(_IGNORES_SIGTERM) as second, started("print()") as ended:
        ended.wait(30)
        stop(psutil.Process(first.pid), second, ended, grace_seconds=0.3)
        assert second.returncode == -signal.SIGKILL
        assert not psutil.pid_exists(first.pid)
        assert ended.returncode == 0


def test_the_signal_can_be_chosen() -> None:
    with started(_WAITS) as process:
        stop(process, grace_seconds=30, signum=signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL


def test_a_record_identifies_one_process_beyond_the_reuse_of_its_id() -> None:
    with started(_WAITS) as process:
        record = ProcessRecord.of("x", process.pid)
        assert record.process() == psutil.Process(process.pid)
        assert ProcessRecord("x", record.pid, record.created - 100).process() is None
        assert [one.pid for one in matching(lambda one: one.pid == process.pid)] == [process.pid]
        stop(process, grace_seconds=30)
        assert record.process() is None
