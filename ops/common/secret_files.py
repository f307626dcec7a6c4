"""Files of passwords: readable by their owner alone, replaced at once, in the form NAME=value."""

import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values


def write(path: Path, text: str) -> None:
    """Replace the file at once; it is readable by its owner alone from its first moment."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def is_private(path: Path) -> bool:
    """Return whether no one but the owner may read or write the file."""
    return not stat.S_IMODE(path.stat().st_mode) & 0o077


def line(name: str, value: str) -> str:
    """Return the line of a value of any content, which :func:`values` reads back; Compose reads it differently."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'\n"


def values(text: str) -> dict[str, str]:
    """Return the values by name, as Compose reads such a file, but for ``$``: nothing is interpolated."""
    parsed: Mapping[str, str | None] = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in parsed.items() if value is not None}
