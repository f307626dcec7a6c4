"""The platform's own programs as children of the run."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ops.common import child_environment
from ops.common.loopback import accepts
from ops.common.paths import ROOT
from ops.local.supervisor import Program


def service(
    name: str, settings: Mapping[str, str], *, metrics_port: int, python: Path | None = None, outside: bool = False
) -> Program:
    """Return ``python -m crypto_analytics.<name>``; it is ready when it answers on its metrics port.

    ``outside``: it talks to the real exchange, through the user's proxies.
    """
    return Program(
        name=name,
        command=[str(python or sys.executable), "-m", f"crypto_analytics.{name}"],
        env={**_environment(outside=outside), **settings, "METRICS_PORT": str(metrics_port)},
        ready=lambda: accepts(metrics_port),
        folder=ROOT,
    )


def job(name: str, module: str, settings: Mapping[str, str], *arguments: str, outside: bool = False) -> Program:
    """Return ``python -m <module>`` as a job: it ends by itself and is not started again."""
    return Program(
        name=name,
        command=[sys.executable, "-m", module, *arguments],
        env={**_environment(outside=outside), **settings},
        restart=False,
        folder=ROOT,
    )


def fetching_job(name: str, module: str, *arguments: str) -> Program:
    """Return ``python -m <module>`` as a job that fetches packages."""
    return replace(job(name, module, {}, *arguments), env=child_environment.fetcher(os.environ))


def _environment(*, outside: bool) -> dict[str, str]:
    further = child_environment.outside(os.environ) if outside else {}
    return {**child_environment.service(os.environ), **further}
