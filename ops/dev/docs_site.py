"""Build the documentation site with MkDocs into .demo/site, and dbt's own pages of the models beside it.

Runs in the environment ``docs``; dbt runs in its own. A page of the built site requests nothing from another host: the
two scripts that the theme would load from a CDN come from the npm registry once, are verified by their hashes, and are
part of the site.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ops.common.errors import Problem
from ops.common.paths import ROOT, demo_dir
from ops.setup import dbt_docs, npm_files
from ops.setup.npm_files import NpmFile

GENERATED = "DOCS_GENERATED_DIR"  # ops/dev/docs_hooks.py reads it
_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")


SCRIPTS = (
    # Draws the diagrams.
    NpmFile(
        "mermaid",
        "11.12.2",
        "dist/mermaid.min.js",
        "d0830a6c05546e9edb8fe20a8f545f3e0dc7c4c3134d584bad9c13a99d7a71e0",
        "mermaid.js",
    ),
    # Makes search work in files that are opened without a web server.
    NpmFile(
        "iframe-worker",
        "1.0.4",
        "shim/index.js",
        "e8e412dbcfea9b7e31b5ffa288d7b6035915e714c542f4176a0cdbe262fc9609",
        "iframe-worker.js",
    ),
)


def main() -> int:
    """Build the site; return 1 where a part of it could not be made."""
    started = time.monotonic()
    site = demo_dir() / "site"
    try:
        with tempfile.TemporaryDirectory(prefix="crypto-analytics-docs.") as made:
            add_scripts(Path(made))
            add_dbt_pages(Path(made))
            build(Path(made), site)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{site / 'index.html'}: built in {time.monotonic() - started:.0f} s")
    return 0


def build(generated: Path, site: Path) -> None:
    """Build the pages of docs/ and the files under ``generated`` into ``site``; a broken link is an error.

    Raises:
        Problem: MkDocs found an error or gave a warning, or a page would load something from another host.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site.absolute())]
    env = {**os.environ, GENERATED: str(generated), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        cause = f"mkdocs exited with {done.returncode}, its message is above"
        raise Problem("the site could not be made", cause, "correct what the message names, then make docs")
    found = external_requests(site)
    if found:
        fix = "add the file to the site (SCRIPTS in ops/dev/docs_site.py), then make docs"
        raise Problem("pages of the site request files from other hosts", ", ".join(found), fix)


def external_requests(site: Path) -> list[str]:
    """Return the addresses on other hosts that a browser would load to show the pages of ``site``, each once."""
    pages = [page for page in site.rglob("*.html") if page.parent.name != "dbt"]
    return sorted({address for page in pages for address in _LOADED.findall(page.read_text(encoding="utf-8"))})


def add_dbt_pages(generated: Path) -> None:
    """Add dbt docs as one page, ``dbt/index.html``.

    Raises:
        Problem: dbt failed.
    """
    (generated / "dbt").mkdir()
    shutil.copyfile(dbt_docs.ensure(), generated / "dbt" / "index.html")


def add_scripts(generated: Path) -> None:
    """Copy the scripts to where mkdocs.yml names them.

    Raises:
        Problem: npm is missing, could not fetch a package, or a script is not the expected one.
    """
    npm_files.copy(SCRIPTS, generated / "assets" / "javascripts")


if __name__ == "__main__":
    raise SystemExit(main())
