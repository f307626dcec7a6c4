"""Write the lock files in requirements/ anew, with hashes: one per environment, for all systems and Python 3.11+."""

import argparse
import os
import subprocess

from ops.common import child_environment
from ops.common.paths import ROOT
from ops.setup.environments import uv

# An image installs only the packages of its service, in the versions that the tests run with.
_IN_IMAGE = ("pyproject.toml", "--constraints", "requirements/services.txt")

# All extras but Spark's, which are twenty times as large as the rest together and have an environment of their own.
_SIMULATOR = "services/exchange_simulator/pyproject.toml"
_SERVICES = ["pyproject.toml", _SIMULATOR]
for _extra in ("api", "backfill", "exporter", "tools", "local"):
    _SERVICES += ["--extra", _extra]

# The sources of each lock file. What the services and the simulator need stands in their pyproject.toml.
SOURCES = {
    "services": _SERVICES,
    "spark": [*_IN_IMAGE, "--extra", "spark"],
    "ops": ["pyproject.toml", "--extra", "local", "requirements/ops.in"],
    "dev": [*_SERVICES, "requirements/dev.in", "requirements/ops.in"],
    "dbt": ["requirements/dbt.in", "--overrides", "requirements/dbt.override"],
    "ge": ["requirements/ge.in"],
    "airflow": ["requirements/airflow.in"],
    "superset": ["requirements/superset.in", "--overrides", "requirements/superset.override"],
    "bench": ["requirements/bench.in"],
    "clients": ["requirements/clients.in"],
    "docs": ["requirements/docs.in"],
    "bootstrap": ["requirements/bootstrap.in"],
    "images/services": [*_IN_IMAGE],
    "images/api": [*_IN_IMAGE, "--extra", "api"],
    "images/backfill": [*_IN_IMAGE, "--extra", "backfill"],
    "images/exporter": [*_IN_IMAGE, "--extra", "exporter"],
    "images/npm": ["requirements/images/npm.in"],
    "images/simulator": [_SIMULATOR, *_IN_IMAGE[1:]],
    "images/spark": [*_IN_IMAGE, "--extra", "spark"],
    "images/tools": [*_IN_IMAGE, "--extra", "tools"],
    "images/postgres": ["requirements/images/postgres.in", "--no-deps"],
}


def main() -> int:
    """Return 0, or the exit code of uv for the first lock file that it could not write."""
    parser = argparse.ArgumentParser(prog="python -m ops.dev.lock_files", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    for name, sources in SOURCES.items():
        options = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
        header = ["--custom-compile-command", "make lock"]
        output = ["--output-file", f"requirements/{name}.txt"]
        command = [uv(), "pip", "compile", *options, *header, *upgrade, *sources, *output]
        code = subprocess.run(command, cwd=ROOT, env=child_environment.fetcher(os.environ), check=False).returncode
        if code:
            return code
        print(f"requirements/{name}.txt")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
