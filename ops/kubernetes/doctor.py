"""Preflight: what must hold before anything is built or started, each failed line with the command that mends it.

Everything but ``main`` and ``show`` is a pure function of the facts.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rich.console import Console
from rich.table import Table

from ops.common.commands import AIRGAP_HINT, VERSIONS, install_hint, version_of
from ops.common.console import console
from ops.common.loopback import free_or_move
from ops.common.settings import Environment, OpsSettings
from ops.common.units import GIB
from ops.kubernetes import machine
from ops.kubernetes.machine import MachineFacts
from ops.platform import make_command

MEMORY_TOTAL = {"lite": 6 * GIB, "default": 8 * GIB, "production": 8 * GIB}
MEMORY_FREE = {"lite": 4 * GIB, "default": 6.5 * GIB, "production": 6.5 * GIB}
DISK_FREE = 10 * GIB
DISK_FREE_COMFORTABLE = 20 * GIB
INOTIFY = {"max_user_watches": 524288, "max_user_instances": 512}

ONLY_FOR_COMPOSE = {"compose"}
FOR_A_FOREIGN_CLUSTER = {"helm", "helmfile", "kubectl"}


class Level(Enum):
    """How a check ended; only ``FAIL`` blocks."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    """One check: what was found, and what to type where it is not as it should be."""

    level: Level
    name: str
    found: str
    fix: str = ""


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print all checks; return 1 if something has to be mended before ``make up``."""
    argparse.ArgumentParser(prog="python -m ops doctor", description=__doc__).parse_args(arguments)
    lines = examine(machine.inspect(settings), settings.ENV, is_kind=settings.is_kind, again=make_command.make_up())
    show(lines, console())
    return 1 if blocks(lines) else 0


def show(lines: list[Check], out: Console) -> None:
    """Print the checks as a table."""
    colours = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
    table = Table("", "check", "found", "to do", title="This machine", title_justify="left")
    for column in table.columns:
        column.overflow = "fold"  # a command that is cut cannot be typed
    for line in lines:
        table.add_row(f"[{colours[line.level]}]{line.level.value}", line.name, line.found, line.fix)
    out.print(table)


def examine(
    found: MachineFacts, environment: Environment, *, is_kind: bool = True, again: str = "make up"
) -> list[Check]:
    """Judge the machine; a cluster that is not ours (``is_kind`` false) needs neither docker nor ports nor memory.

    ``again`` is the command that brings it up.
    """
    tools = [_tool(name, found) for name in VERSIONS if is_kind or name in FOR_A_FOREIGN_CLUSTER]
    diff = [] if found.has_diff else [_no_diff()]
    if not is_kind:
        return [*tools, *diff]
    return [
        _memory(found, environment),
        _disk(found),
        *_inotify_lines(found.inotify),
        *(_port(setting, number, found, again) for setting, number in found.ports.items()),
        *tools,
        *diff,
    ]


def blocks(lines: list[Check]) -> bool:
    """Whether something has to be mended first."""
    return any(line.level is Level.FAIL for line in lines)


def _memory(found: MachineFacts, environment: Environment) -> Check:
    needed, free = MEMORY_TOTAL[environment], MEMORY_FREE[environment]
    state = f"{_gib(found.memory_total)} GiB, {_gib(found.memory_free)} free"
    if found.memory_total < needed * 0.95:  # a part of the sticks is the kernel's
        smaller = "make up ENV=lite" if environment != "lite" else "make demo needs no Kubernetes"
        return Check(Level.FAIL, "memory", state, f"{_gib(needed)} GiB are needed for ENV={environment}; {smaller}")
    if found.memory_free < free and not found.cluster_runs:
        return Check(Level.FAIL, "memory", state, f"{_gib(free)} GiB must be free: close programs (ps aux --sort=-rss)")
    return Check(Level.OK, "memory", state)


def _disk(found: MachineFacts) -> Check:
    if found.disk_free is None:
        return Check(Level.WARN, "disk", "docker's folder is not on this file system", "docker system df")
    state = f"{_gib(found.disk_free)} GiB free in {found.disk_path}"
    if found.disk_free < DISK_FREE:
        return Check(Level.FAIL, "disk", state, f"{_gib(DISK_FREE)} GiB are needed: docker builder prune")
    if found.disk_free < DISK_FREE_COMFORTABLE:
        fix = f"{_gib(DISK_FREE_COMFORTABLE)} GiB are comfortable: docker builder prune"
        return Check(Level.WARN, "disk", state, fix)
    return Check(Level.OK, "disk", state)


def _inotify_lines(limits: Mapping[str, int]) -> list[Check]:
    lines = []
    for name, needed in INOTIFY.items():
        if name not in limits:
            continue  # no Linux: the engine's machine has limits of its own
        level = Level.OK if limits[name] >= needed else Level.FAIL
        fix = f"sudo sysctl -w fs.inotify.{name}={needed}" if level is Level.FAIL else ""
        lines.append(Check(level, f"inotify {name}", str(limits[name]), fix))
    return lines


def _port(setting: str, number: int, found: MachineFacts, again: str) -> Check:
    if number not in found.taken:
        return Check(Level.OK, f"port {number}", "free" if not found.cluster_runs else "the cluster's, or free")
    holder = found.holders.get(number, "another program")
    fix = free_or_move(setting, number, again)
    return Check(Level.FAIL, f"port {number}", f"taken by {holder}", fix)


def _tool(name: str, found: MachineFacts) -> Check:
    output, needed = found.versions.get(name), VERSIONS[name]
    blocking = Level.WARN if name in ONLY_FOR_COMPOSE else Level.FAIL
    least = ".".join(map(str, needed))
    if output is None:
        if name == "docker engine" and found.versions.get("docker") is not None:
            fix = f"sudo systemctl start docker; may you use it? sudo usermod -aG docker $USER; {AIRGAP_HINT}"
            return Check(blocking, name, found.engine_error or "it does not answer", fix)
        program = {"docker engine": "docker", "buildx": "docker", "compose": "docker"}.get(name, name)
        return Check(blocking, name, "missing", install_hint(program))
    version = version_of(output)
    if version is None:
        return Check(Level.OK, name, "a build without a version number")
    state = ".".join(map(str, version))
    if version < needed:
        return Check(blocking, name, state, f"{least} or newer is needed: {install_hint(name.split(maxsplit=1)[0])}")
    return Check(Level.OK, name, state)


def _no_diff() -> Check:
    fix = "make up needs none; for helmfile apply and helmfile diff: helmfile init"
    return Check(Level.WARN, "helm-diff", "missing", fix)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}".removesuffix(".0")
