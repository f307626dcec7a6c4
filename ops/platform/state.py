"""What the targets remember in .platform/, and that one of them at a time changes the cluster."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.common.errors import Problem
from ops.common.paths import STATE

LAST_UP = "up.json"


def logs() -> Path:
    """Return the folder of the last runs' logs, made if it is missing."""
    folder = STATE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def exclusive(state: Path = STATE) -> Iterator[None]:
    """Hold the right to change the cluster; the kernel gives it back however the holder ends.

    Raises:
        Problem: another process holds it.
    """
    state.mkdir(exist_ok=True)
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode() or "another"
            mend = f"wait for it to end, or: kill {holder}"
            raise Problem("the cluster is just being changed", f"process {holder} is at it", mend) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def remember(what: Mapping[str, Any], state: Path = STATE) -> None:
    """Keep the story of the last ``make up``: environment, context, and seconds by phase once it ended well."""
    state.mkdir(exist_ok=True)
    (state / LAST_UP).write_text(json.dumps(what, indent=2) + "\n")


def recall(state: Path = STATE) -> dict[str, Any]:
    """Return the story of the last ``make up``; empty if there was none."""
    file = state / LAST_UP
    return dict(json.loads(file.read_text())) if file.is_file() else {}
