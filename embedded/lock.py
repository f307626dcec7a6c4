"""One run a state folder: a file lock, which the kernel gives back however its holder ends."""

import fcntl
import os
from pathlib import Path

from embedded.problems import Problem


class Lock:
    """The lock of a state folder; the file holds the process id of who has it."""

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
            raise Problem(f"{state} is in use", f"a run with process id {self.holder()} has it", "make stop") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the process id of the run that has the lock now; None if there is none."""
        if not self._path.exists():
            return None
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 20) or b"0")
        finally:
            os.close(descriptor)
        return None
