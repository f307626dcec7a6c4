"""One run a state folder: a file lock, which the kernel gives back however its holder ends.

The file holds the record of the process that has the lock: process id and creation time. It is empty while the lock is
free. A record whose creation time differs from the process's is stale and ignored. So the file never names a process
without the lock: neither one that got the id later, nor the holder before while the next has not written its own yet.
"""

import fcntl
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from ops.common.errors import Problem
from ops.common.processes import Record

_NAME = "run"
_WRITES_WITHIN_SECONDS = 5.0


class Lock:
    """The lock of a state folder."""

    def __init__(self, state: Path) -> None:
        self._path = state / "run" / "lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            Problem: another run has it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            state = self._path.parents[1]
            holder = self.holder()
            raise Problem(f"{state} is in use", f"a run with process id {holder} has it", "make stop") from error
        os.ftruncate(descriptor, 0)
        record = Record(_NAME, os.getpid(), psutil.Process().create_time())
        os.write(descriptor, json.dumps(asdict(record)).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the process id of the run that has the lock now; None if there is none.

        Raises:
            Problem: somebody has it and does not say who.
        """
        deadline = time.monotonic() + _WRITES_WITHIN_SECONDS
        while self._is_taken():
            record = self._read()
            if record is not None and record.leader() is not None:
                return record.pid
            if time.monotonic() > deadline:
                cause = "the process that has its lock has not written its process id"
                raise Problem("the holder of the lock is unknown", cause, f"find it and stop it: fuser {self._path}")
            time.sleep(0.01)
        return None

    def signal(self, signum: signal.Signals) -> int | None:
        """Send ``signum`` to the run that has the lock, and to no other process; return its process id."""
        holder = self.holder()
        if holder is None:
            return None
        try:
            process = os.pidfd_open(holder)
        except ProcessLookupError:
            return None  # it has just ended
        try:  # the descriptor stands for one process for good; the lock says once more that it is the one
            if self.holder() != holder:
                return None
            signal.pidfd_send_signal(process, signum)
        except ProcessLookupError:
            return None
        finally:
            os.close(process)
        return holder

    def _is_taken(self) -> bool:
        if not self._path.exists():
            return False
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _read(self) -> Record | None:
        try:
            text = self._path.read_text()
            if text.strip().isdecimal():  # the version before wrote the process id alone, and may still run
                created = psutil.Process(int(text)).create_time()
                is_its_own = created <= self._path.stat().st_mtime  # not of a process that got the id later
                return Record(_NAME, int(text), created) if is_its_own else None
            return Record(**json.loads(text))
        except (ValueError, TypeError, psutil.NoSuchProcess):  # empty, or in the middle of being written
            return None
