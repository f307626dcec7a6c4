"""Build the live page into a folder: its sources, and beside them the library that it takes from npm.

``python -m ops.setup.live_page FOLDER``; without npm it works once the library is in the user's cache.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.setup import npm_files

_PROJECT = ROOT / "services" / "live_page"
LIST = _PROJECT / "npm-files.json"


def build(folder: Path) -> Path:
    """Write the page to ``folder``, instead of what is there, and return ``folder``.

    Raises:
        Problem: the library could not be fetched.
    """
    files = npm_files.listed(LIST)
    npm_files.ensure(files)  # before the older page is removed
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(_PROJECT / "src", folder, ignore=shutil.ignore_patterns("*.d.mts"))
    npm_files.copy(files, folder)
    return folder


def main(folder: Path) -> int:
    """Build the page into ``folder``; return the exit code."""
    try:
        print(f"{build(folder)}: the live page is built; PAGE_DIR={folder} serves it")
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
