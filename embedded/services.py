"""The platform's own programs as children of the run."""

import sys
from collections.abc import Mapping
from pathlib import Path

from embedded.bootstrap import ROOT, environment
from embedded.environment import inherited
from embedded.ports import accepts
from embedded.processes import Program


def service(name: str, settings: Mapping[str, str], *, metrics_port: int, python: Path | None = None) -> Program:
    """Return ``python -m crypto_analytics.<name>``; it is ready when it answers on its metrics port."""
    return Program(
        name=name,
        command=[str(python or sys.executable), "-m", f"crypto_analytics.{name}"],
        env={**inherited(environment()), **settings, "METRICS_PORT": str(metrics_port)},
        ready=lambda: accepts(metrics_port),
        folder=ROOT,
    )


def job(name: str, module: str, settings: Mapping[str, str], *arguments: str, python: Path | None = None) -> Program:
    """Return ``python -m <module>`` as a job: it ends by itself and is not started again."""
    return Program(
        name=name,
        command=[str(python or sys.executable), "-m", module, *arguments],
        env={**inherited(environment()), **settings},
        restart=False,
        folder=ROOT,
    )
