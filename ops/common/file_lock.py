"""A lock file that names its holder; the kernel releases the lock however its holder ends.

The file holds the record of the holder (process id and creation time) and is empty while the lock is free. A record
whose creation time differs from the process's is stale and ignored. So the file never names a process that does not
hold the lock: neither one that got the id later, nor the previous holder while the next has not written its record yet.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from ops.common.errors import Problem
from ops.common.processes import ProcessRecord

_NAME = "run"
_WRITES_WITHIN_SECONDS = 5.0


class FileLock:
    """A lock at ``path``; ``held`` turns the holder's process id into the error of a process that cannot take it."""

    def __init__(self, path: Path, held: Callable[[int], Problem]) -> None:
        self._path = path
        self._held = held
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; see :meth:`take`."""
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self) -> None:
        """Take the lock.

        Raises:
            Problem: another process holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _WRITES_WITHIN_SECONDS
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while not self._try_to_take(descriptor):
                holder = self.holder()
                if holder is not None:
                    raise self._held(holder)
                if time.monotonic() > deadline:  # otherwise it was released meanwhile, or another process probed it
                    raise self._unknown_holder()
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(ProcessRecord.of(_NAME, os.getpid()))).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the process id of the lock's holder; None while it is free.

        Raises:
            Problem: the lock is held, and its holder has not written its record.
        """
        deadline = time.monotonic() + _WRITES_WITHIN_SECONDS
        while self._is_taken():
            record = self._read()
            if record is not None and record.process() is not None:
                return record.pid
            if time.monotonic() > deadline:
                raise self._unknown_holder()
            time.sleep(0.01)
        return None

    def signal(self, signum: signal.Signals) -> int | None:
        """Send ``signum`` to the holder and to no other process; return its process id, None without a holder."""
        holder = self.holder()
        if holder is None:
            return None
        try:
            process = os.pidfd_open(holder)
        except ProcessLookupError:
            return None  # it has just ended
        try:  # the descriptor keeps identifying one process; check that this one is the holder
            if self.holder() != holder:
                return None
            signal.pidfd_send_signal(process, signum)
        except ProcessLookupError:
            return None
        finally:
            os.close(process)
        return holder

    def _unknown_holder(self) -> Problem:
        cause = "the process that has its lock has not written its process id"
        return Problem("the holder of the lock is unknown", cause, f"find it and stop it: fuser {self._path}")

    @staticmethod
    def _try_to_take(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

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

    def _read(self) -> ProcessRecord | None:
        try:
            text = self._path.read_text()
            if text.strip().isdecimal():  # the previous version wrote the process id alone, and may still run
                created = psutil.Process(int(text)).create_time()
                is_its_own = created <= self._path.stat().st_mtime  # not of a process that got the id later
                return ProcessRecord(_NAME, int(text), created) if is_its_own else None
            return ProcessRecord(**json.loads(text))
        except (ValueError, TypeError, psutil.NoSuchProcess):  # empty, or being written
            return None
