"""State of the targets in .platform/: the last ``make up``, logs, and the lock on changes of the cluster."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.common.errors import Problem
from ops.common.file_lock import FileLock
from ops.common.paths import STATE

LAST_UP = "up.json"


def logs() -> Path:
    """Return the folder of the last runs' logs; create it if it is missing."""
    folder = STATE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def exclusive(state: Path = STATE) -> FileLock:
    """Return the lock that a target holds while it changes the cluster."""
    return FileLock(
        state / "lock",
        lambda holder: Problem(
            "another target is changing the cluster", f"process {holder} holds the lock", f"wait, or: kill {holder}"
        ),
    )


def save_last_up(what: Mapping[str, Any], state: Path = STATE) -> None:
    """Save the last ``make up``: environment, context, and the duration of each phase once it has succeeded."""
    state.mkdir(exist_ok=True)
    (state / LAST_UP).write_text(json.dumps(what, indent=2) + "\n")


def load_last_up(state: Path = STATE) -> dict[str, Any]:
    """Return the last ``make up``; empty if there was none."""
    file = state / LAST_UP
    return dict(json.loads(file.read_text())) if file.is_file() else {}
