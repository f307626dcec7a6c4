"""Generate dbt docs, dbt's documentation of the models, as one page: ``python -m ops.setup.dbt_docs``.

The page has what the models' files declare: descriptions, columns with the types of their contracts, tests, lineage.
dbt connects to no database for it. It is kept in the environment ``dbt`` until a file of the project changes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ops.common import child_environment
from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.setup.environments import python_of

_PROJECT = ROOT / "dbt"
_WRITTEN_BY_DBT = {"logs", "target"}
# Without `parse`, `docs generate --no-compile` finds no manifest.
_COMMANDS = (["parse"], ["docs", "generate", "--static", "--empty-catalog", "--no-compile"])


def cached() -> Path | None:
    """Return the page of the project as it is; None where it was not generated yet."""
    page = _page()
    return page if page.is_file() else None


def ensure() -> Path:
    """Return the page of the project as it is, and generate it if it is missing or outdated.

    Raises:
        Problem: dbt failed.
    """
    page = _page()
    if not page.is_file():
        page.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=page.parent, prefix=".generated.") as target:
            _generate(Path(target))
            for outdated in page.parent.glob("*.html"):
                outdated.unlink(missing_ok=True)
            (Path(target) / "static_index.html").replace(page)
    return page


def _page() -> Path:
    files = (file for file in _PROJECT.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in sorted(files):
        path = file.relative_to(_PROJECT)
        if not _WRITTEN_BY_DBT & set(path.parts):
            digest.update(f"{path}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return python_of("dbt").parents[1] / "dbt-docs" / f"{digest.hexdigest()[:16]}.html"


def _generate(target: Path) -> None:
    dbt = python_of("dbt").with_name("dbt")
    folders = [f"--project-dir={_PROJECT}", f"--profiles-dir={_PROJECT}", f"--target-path={target}"]
    # The profile requires the variable, but no command connects to the database.
    environment = {**child_environment.plain(os.environ), "POSTGRES_PASSWORD": ""}
    for command in _COMMANDS:
        whole = [str(dbt), "--quiet", *command, *folders, f"--log-path={target}"]
        done = subprocess.run(whole, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            found = f"dbt exited with {done.returncode}, its message is above"
            raise Problem("dbt docs could not be made", found, "correct what the message names, then run it again")


def main() -> int:
    """Generate the page if it is missing; return the exit code."""
    try:
        print(ensure())
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
