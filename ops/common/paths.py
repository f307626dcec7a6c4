"""The folders of the checkout, and the characters that their paths may hold. Readable by an old Python."""

from __future__ import annotations

import os
from pathlib import Path

from ops.common.errors import Problem

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".platform"  # of the platform on Kubernetes and in Compose

# Characters that no path may hold: a search path cannot quote a colon, and the shells that start an environment's
# scripts and that initdb uses expand the others.
_REFUSED = {":": "a colon", '"': "a double quote", "$": "a dollar", "`": "a backquote", "\\": "a backslash"}

# Spark's list of local folders is separated by commas, and Hadoop reads the others in a path as a pattern.
_REFUSED_BY_SPARK = ",*?[]{}"
# Superset's migrations read their folder from a configuration file, where % begins an interpolation.
_REFUSED_BY_SUPERSET = "%"


def demo_dir() -> Path:
    """Return DEMO_DIR (default: .demo), the only folder that the local run writes to, as an absolute path."""
    return ROOT / (os.environ.get("DEMO_DIR") or ".demo")


def check_name(setting: str, folder: Path) -> None:
    """Check that every program of the run can work in ``folder``; ``setting`` names it in the message.

    Raises:
        Problem: its path holds a character that one of them cannot read.
    """
    text = str(folder)
    shown = ascii(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        refused = "bytes that are no UTF-8"
    else:
        found = [name for character, name in _REFUSED.items() if character in text]
        if not text.isprintable():
            found.append("a character that cannot be printed")
        if not found:
            return
        refused = " and ".join(found)
    if setting == "DEMO_DIR":
        raise Problem("DEMO_DIR cannot be used", f"{shown} holds {refused}", "make demo DEMO_DIR=/another/folder")
    raise Problem("this checkout cannot be used", f"{shown} holds {refused}", "move it to a folder without")


def check_for_spark(folder: Path) -> None:
    """Check that Spark can work in ``folder``, which is DEMO_DIR.

    Raises:
        Problem: its path holds a character that Spark reads as something else.
    """
    _check("Spark", _REFUSED_BY_SPARK, folder, "VARIANT=python")


def check_for_superset(folder: Path) -> None:
    """Check that Superset can work in ``folder``, which is DEMO_DIR.

    Raises:
        Problem: its path holds a character that Superset reads as something else.
    """
    _check("Superset", _REFUSED_BY_SUPERSET, folder, "BI=0")


def _check(program: str, refused: str, folder: Path, without: str) -> None:
    found = [character for character in refused if character in str(folder)]
    if found:
        cause = f"{str(folder)!a} holds {' '.join(found)}"
        raise Problem(f"{program} cannot work in DEMO_DIR", cause, f"make demo DEMO_DIR=/another/folder, or {without}")


def check_writable(folder: Path) -> None:
    """Check that DEMO_DIR can be made and written.

    Raises:
        Problem: it cannot.
    """
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return
    cause = f"{existing} is no folder" if not existing.is_dir() else f"{existing} cannot be written by this user"
    raise Problem(f"{folder} cannot be made", cause, "make demo DEMO_DIR=/a/folder/of/yours")
