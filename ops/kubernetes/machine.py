"""Facts about this machine and Docker's: CPUs, memory, disk, ports, kernel limits, and the tools' versions."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ops.common.loopback import is_free
from ops.common.settings import OpsSettings
from ops.kubernetes import helm, kind_cluster
from ops.platform import kind_node_ports

INOTIFY_LIMITS = ("max_user_watches", "max_user_instances")

_VERSION_COMMANDS: dict[str, tuple[str, ...]] = {
    "docker": ("docker", "--version"),
    "docker engine": ("docker", "version", "--format", "{{.Server.Version}}"),
    "buildx": ("docker", "buildx", "version"),
    "compose": ("docker", "compose", "version", "--short"),
    "kind": ("kind", "version"),
    "helm": ("helm", "version", "--short"),
    "helmfile": ("helmfile", "--version"),
    "kubectl": ("kubectl", "version", "--client"),
}
_TOOL_SECONDS = 20
_SAME_MEMORY = 0.01  # an engine whose memory differs by more runs in a virtual machine


@dataclass(frozen=True)
class MachineFacts:
    """Facts about the machine. Sizes are in bytes, and None if unknown.

    ``cpus`` and ``memory_total`` are Docker's: on macOS and Windows those of its virtual machine, whose free memory is
    unknown.
    """

    cpus: int | None
    memory_total: float
    memory_free: float | None
    disk_free: float | None
    disk_path: str
    inotify: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)  # output of the tool; None: missing, or it failed
    engine_error: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)  # by setting
    taken: frozenset[int] = frozenset()  # ports that another program has bound
    holders: Mapping[int, str] = field(default_factory=dict)  # program that has bound a port
    cluster_exists: bool = False
    cluster_runs: bool = False
    has_diff: bool = True


def inspect(settings: OpsSettings) -> MachineFacts:
    """Collect the facts."""
    versions = {name: _run_tool(command) for name, command in _VERSION_COMMANDS.items()}
    engine_up = versions["docker engine"] is not None
    found = kind_cluster.node() if engine_up and settings.is_kind else None
    wanted = kind_node_ports.effective(settings, found.bound if found else None)
    own = set(found.bound.values()) if found and found.state == "running" else set()
    taken = frozenset(number for number in wanted.values() if number not in own and not is_free(number))
    engine = _engine() if engine_up else {}
    memory_total, memory_free = _memory(engine)
    folder = _docker_folder(engine)
    return MachineFacts(
        cpus=engine.get("NCPU") or psutil.cpu_count(),
        memory_total=memory_total,
        memory_free=memory_free,
        disk_free=shutil.disk_usage(folder).free if folder else None,
        disk_path=str(folder or ""),
        inotify=_inotify(),
        versions=versions,
        engine_error="" if engine_up else _error_output(_VERSION_COMMANDS["docker engine"]),
        ports=wanted,
        taken=taken,
        holders=_holders(taken),
        cluster_exists=found is not None,
        cluster_runs=bool(own),
        has_diff=helm.has_diff(),
    )


def _run_tool(command: tuple[str, ...]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TOOL_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


def _error_output(command: tuple[str, ...]) -> str:
    if shutil.which(command[0]) is None:
        return "docker is missing"
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TOOL_SECONDS)
    except subprocess.TimeoutExpired:
        return f"it does not answer within {_TOOL_SECONDS} s"
    return " ".join(done.stderr.split())


def _engine() -> dict[str, Any]:
    """Return what Docker's engine says of the machine that it runs on; empty if it does not answer."""
    output = _run_tool(("docker", "info", "--format", "{{json .}}"))
    return dict(json.loads(output)) if output else {}


def _memory(engine: Mapping[str, Any]) -> tuple[float, float | None]:
    """Return total and free memory of the engine's machine, of this one without an engine."""
    here = psutil.virtual_memory()
    total = engine.get("MemTotal") or here.total
    return total, here.available if abs(total - here.total) < _SAME_MEMORY * here.total else None


def _docker_folder(engine: Mapping[str, Any]) -> Path | None:
    folder = Path(engine["DockerRootDir"]) if engine.get("DockerRootDir") else None
    return folder if folder and folder.is_dir() else None


def _inotify() -> dict[str, int]:
    folder = Path("/proc/sys/fs/inotify")
    return {name: int((folder / name).read_text()) for name in INOTIFY_LIMITS if (folder / name).is_file()}


def _holders(taken: frozenset[int]) -> dict[int, str]:
    """Return the program that listens on each port, as far as this user has permission to see it."""
    if not taken:
        return {}
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return {}
    names = {}
    for connection in listening:
        if connection.laddr and connection.pid and connection.laddr.port in taken and psutil.pid_exists(connection.pid):
            names[connection.laddr.port] = f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return names
