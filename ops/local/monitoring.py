"""Prometheus and Alertmanager of a run. Their configuration is always written; MONITORING=1 starts them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ops.common import loopback
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK, free_port
from ops.common.paths import ROOT
from ops.local.programs import Program
from ops.local.run_folders import RunFolders
from ops.local.settings import DemoSettings
from ops.setup import preflight

FILES = ROOT / "charts" / "monitoring" / "files"
_NAMES = {  # of each program, on the PATH; the last one is also the name of Debian's package
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
}
_TEMPLATES = "/etc/alertmanager/messages.tmpl"  # in the chart's file
_TIMEOUT = 2.0


def check(name: str) -> None:
    """Check that the program ``name`` is installed.

    Raises:
        Problem: it is not.
    """
    if _path(name) is None:
        cause = f"MONITORING=1 starts it, and {' or '.join(_NAMES[name])} was not found"
        raise Problem(f"{name} is missing", cause, f"{preflight.install(_NAMES[name][-1])}; or: make demo MONITORING=0")


class Monitoring:
    """The configuration and the two programs of a run; without MONITORING there are no programs and no ports."""

    def __init__(self, settings: DemoSettings, folders: RunFolders) -> None:
        """Choose the ports."""
        self.folder = folders.monitoring
        wanted = {"prometheus": settings.PROMETHEUS_PORT, "alertmanager": settings.ALERTMANAGER_PORT}
        self.ports = {name: port or free_port() for name, port in wanted.items()} if settings.MONITORING else {}

    @property
    def places(self) -> list[tuple[str, Path | str]]:
        """The addresses of the programs, by name."""
        return [(name, _url(port)) for name, port in self.ports.items()]

    def programs(self, services: Sequence[Program], simulator: int | None) -> list[Program]:
        """Write the configuration for ``services`` and the simulator's port, and return the programs to start."""
        jobs = {one.name.replace("_", "-"): int((one.env or {})["METRICS_PORT"]) for one in services}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = configuration(jobs | ({"simulator": simulator} if simulator else {}) | self.ports)
        (self.folder / "prometheus.yml").write_text(text)
        if not self.ports:
            return []
        alerts = (FILES / "alertmanager.yml").read_text().replace(_TEMPLATES, json.dumps(str(FILES / "messages.tmpl")))
        (self.folder / "alertmanager.yml").write_text(alerts)
        return [
            self._program("alertmanager", "--storage.path", "--cluster.listen-address="),
            self._program("prometheus", "--storage.tsdb.path", "--storage.tsdb.retention.size=2GB"),
        ]

    def _program(self, name: str, storage: str, *arguments: str) -> Program:
        port = self.ports[name]
        command = [
            _path(name) or name,
            f"--config.file={self.folder / name}.yml",
            f"{storage}={self.folder / name}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=warn",
            *arguments,
        ]
        return Program(name, command, ready=partial(_is_ready, port), folder=self.folder)


def configuration(jobs: Mapping[str, int]) -> str:
    """Return prometheus.yml with the platform's rules, for the metrics ports of ``jobs`` on this machine."""
    lines = [
        "# Written by make demo: the metrics of this run, and the alert rules of the platform.",
        "global: {scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 15s}",
        "rule_files:",
        *(f"  - {json.dumps(str(path))}" for path in sorted((FILES / "rules").glob("*.yaml"))),
    ]
    if "alertmanager" in jobs:
        target = f"{LOOPBACK}:{jobs['alertmanager']}"
        lines += ["alerting:", f'  alertmanagers: [{{static_configs: [{{targets: ["{target}"]}}]}}]']
    lines.append("scrape_configs:")
    for job, port in sorted(jobs.items()):
        lines += [f"  - job_name: {job}", f'    static_configs: [{{targets: ["{LOOPBACK}:{port}"]}}]']
    return "\n".join(lines) + "\n"


def _path(name: str) -> str | None:
    return next((path for word in _NAMES[name] if (path := shutil.which(word))), None)


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _is_ready(port: int) -> bool:
    try:
        with loopback.get(f"{_url(port)}/-/ready", _TIMEOUT):
            return True
    except OSError:
        return False
