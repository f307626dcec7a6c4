"""Superset as a child of the run: a job that prepares its tables and the dashboard, then the server."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from signal import SIGTERM

from ops.common import child_environment, loopback
from ops.common.loopback import LOOPBACK
from ops.common.paths import ROOT
from ops.local.programs import Program
from ops.platform.endpoints import DASHBOARD, SUPERSET_ADMIN
from ops.setup.environments import python_of

PREPARE_SECONDS = 300
TIMEOUT = 2.0


def preparation(settings: Mapping[str, str]) -> Program:
    """Return the job that migrates Superset's tables and imports its user and the dashboard."""
    Path(settings["SUPERSET_HOME"]).mkdir(parents=True, exist_ok=True)
    command = [str(python_of("superset")), str(ROOT / "superset" / "prepare.py")]
    return Program("superset-prepare", command, env=_environment(settings), restart=False, folder=ROOT)


def server(settings: Mapping[str, str], port: int) -> Program:
    """Return the server, on loopback only; it is ready when /health answers."""
    command = [str(python_of("superset")), str(ROOT / "superset" / "serve.py"), f"--bind={LOOPBACK}:{port}"]
    return Program(
        name="superset",
        command=command,
        env=_environment(settings),
        ready=lambda: is_healthy(port),
        ready_seconds=120.0,
        death_signal=SIGTERM,  # it has a child of its own to stop
        folder=ROOT,
    )


def is_healthy(port: int) -> bool:
    """Return whether the server on ``port`` answers /health."""
    try:
        with loopback.get(f"http://{LOOPBACK}:{port}/health", TIMEOUT) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def address(port: int) -> str:
    """Return the dashboard's address."""
    return f"http://{LOOPBACK}:{port}{DASHBOARD}"


def places(port: int, password: Path | str) -> list[tuple[str, Path | str]]:
    """Return the dashboard's address and login; ``password`` may be the file that holds it."""
    return [
        ("dashboard", address(port)),
        ("user", SUPERSET_ADMIN),
        ("password", password),
    ]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment. PYTHONPATH is superset/ alone: its libraries are older than the services'."""
    return {**child_environment.service(os.environ), **settings, "PYTHONPATH": str(ROOT / "superset")}
