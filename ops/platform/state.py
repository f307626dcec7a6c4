"""What the targets remember in .platform/, and that one of them at a time changes the cluster."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.common.errors import Problem
from ops.common.file_lock import FileLock
from ops.common.paths import STATE

LAST_UP = "up.json"


def logs() -> Path:
    """Return the folder of the last runs' logs, made if it is missing."""
    folder = STATE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def exclusive(state: Path = STATE) -> FileLock:
    """Return the lock that whoever changes the cluster holds meanwhile."""
    return FileLock(
        state / "lock",
        lambda holder: Problem(
            "the cluster is just being changed", f"process {holder} is at it", f"wait for it to end, or: kill {holder}"
        ),
    )


def remember(what: Mapping[str, Any], state: Path = STATE) -> None:
    """Keep the story of the last ``make up``: environment, context, and seconds by phase once it ended well."""
    state.mkdir(exist_ok=True)
    (state / LAST_UP).write_text(json.dumps(what, indent=2) + "\n")


def recall(state: Path = STATE) -> dict[str, Any]:
    """Return the story of the last ``make up``; empty if there was none."""
    file = state / LAST_UP
    return dict(json.loads(file.read_text())) if file.is_file() else {}
