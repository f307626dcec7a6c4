"""Package the charts with their library into .platform/charts, and optionally push them to a registry."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from ops.common.errors import Problem
from ops.common.external_programs import run
from ops.common.loopback import LOOPBACK
from ops.common.paths import ROOT, STATE

FOLDER = STATE / "charts"
_FIX = "make charts"


def charts() -> list[Path]:
    """Return the folders of the charts that can be installed."""
    found = sorted(file.parent for file in (ROOT / "charts").glob("*/Chart.yaml"))
    return [chart for chart in found if yaml.safe_load((chart / "Chart.yaml").read_text())["type"] == "application"]


def package(folder: Path = FOLDER) -> list[Path]:
    """Return an archive of each chart in ``folder``, which is emptied first; each archive contains the library.

    Raises:
        Problem: helm fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    run("helm", "package", "--destination", folder, *charts(), fix=_FIX)
    return sorted(folder.glob("*.tgz"))


def address(registry: str) -> str:
    """Return the address of the charts in ``registry``, beside the images."""
    return f"oci://{registry.rstrip('/')}/crypto-analytics/charts"


def push(archives: Iterable[Path], registry: str, report: Callable[[str], None] = print) -> None:
    """Push the archives; a registry on this machine is reached without TLS, as docker does.

    Raises:
        Problem: a push fails.
    """
    host = registry.partition("/")[0]
    plain = ["--plain-http"] if host.partition(":")[0] in (LOOPBACK, "localhost") else []
    for archive in archives:
        report(f"  pushing {archive.name}")
        run("helm", "push", *plain, archive, address(registry), fix=f"helm registry login {host}")


def main() -> int:
    """Package the charts and optionally push them; return 1 on an error that the user can fix."""
    parser = argparse.ArgumentParser(prog="python -m ops.platform.charts", description=__doc__)
    parser.add_argument("--push", action="store_true", help="push them to IMAGE_REGISTRY")
    chosen = parser.parse_args()
    registry = os.environ.get("IMAGE_REGISTRY", "")
    if chosen.push and not registry:
        parser.error("to push, name a registry: make charts PUSH=1 IMAGE_REGISTRY=registry.example.com/me")
    try:
        archives = package()
        if chosen.push:
            push(archives, registry)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{len(archives)} charts in {FOLDER.relative_to(ROOT)}{f' and {address(registry)}' if chosen.push else ''}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
