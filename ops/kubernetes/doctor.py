"""Preflight checks of the machine, each failed one with the command that fixes it.

All but ``main`` and ``show`` are pure functions of the facts.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rich.console import Console
from rich.table import Table

from ops.common.candle_variant import Variant
from ops.common.console import console
from ops.common.external_programs import AIRGAP_HINT, VERSIONS, install_hint, version_of
from ops.common.loopback import free_or_move
from ops.common.settings import Environment, OpsSettings
from ops.common.units import GIB
from ops.kubernetes import environment_choice, machine, machine_fit, pod_resources
from ops.kubernetes.machine import MachineFacts
from ops.platform import make_command

DISK_FREE = 10 * GIB
DISK_FREE_COMFORTABLE = 20 * GIB
INOTIFY = {"max_user_watches": 524288, "max_user_instances": 512}

ONLY_FOR_COMPOSE = {"compose"}
FOR_A_FOREIGN_CLUSTER = {"helm", "helmfile", "kubectl"}


class Level(Enum):
    """The result of a check; only ``FAIL`` blocks an installation."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    """One check: the value found, and the fix if the value is not acceptable."""

    level: Level
    name: str
    found: str
    fix: str = ""


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print all checks; return 1 if one of them blocks ``make up``."""
    argparse.ArgumentParser(prog="python -m ops doctor", description=__doc__).parse_args(arguments)
    found = machine.inspect(settings)
    environment, why = environment_choice.proposed(settings, found)
    lines = examine(found, environment, settings.VARIANT, is_kind=settings.is_kind, again=make_command.make_up())
    out = console()
    show(lines, out, environment)
    if "ENV" not in settings.model_fields_set:
        out.print(f"ENV={environment}: {why}", markup=False, soft_wrap=True)
    return 1 if blocks(lines) else 0


def show(lines: list[Check], out: Console, environment: Environment | None = None) -> None:
    """Print the checks as a table, with the environment that they are for."""
    colours = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
    title = f"This machine, for ENV={environment}" if environment else "This machine"
    table = Table("", "check", "found", "fix", title=title, title_justify="left")
    for column in table.columns:
        column.overflow = "fold"  # a truncated command is useless
    for line in lines:
        table.add_row(f"[{colours[line.level]}]{line.level.value}", line.name, line.found, line.fix)
    out.print(table)


def examine(
    found: MachineFacts,
    environment: Environment | None,
    variant: Variant = "python",
    *,
    is_kind: bool = True,
    again: str = "make up",
) -> list[Check]:
    """Check the machine; for a cluster other than kind only the tools that reach it are checked.

    Without an ``environment``, nothing is installed, and CPUs and memory are not checked. ``again`` is the command to
    suggest after a fix.
    """
    tools = [_tool(name, found) for name in VERSIONS if is_kind or name in FOR_A_FOREIGN_CLUSTER]
    diff = [] if found.has_diff else [_no_diff()]
    if not is_kind:
        return [*tools, *diff]
    return [
        *([_cpus(found, environment, variant), _memory(found, environment, variant)] if environment else []),
        _disk(found),
        *_inotify_lines(found.inotify),
        *(_port(setting, number, found, again) for setting, number in found.ports.items()),
        *tools,
        *diff,
    ]


def blocks(lines: list[Check]) -> bool:
    """Return whether a check has failed."""
    return any(line.level is Level.FAIL for line in lines)


def _cpus(found: MachineFacts, environment: Environment, variant: Variant) -> Check:
    if found.cpus is None:
        return Check(Level.WARN, "CPUs", "unknown", "docker info --format '{{.NCPU}}'")
    needed = pod_resources.needed_cpu(environment, variant) / 1000
    state = f"{found.cpus}; the pods request {needed:.2f}"
    lighter = machine_fit.lighter(found, environment, variant)
    if not machine_fit.has_cpus(found, environment, variant):
        fix = f"{_named(environment, variant)} needs {math.ceil(needed)}: give Docker more, or {lighter}"
        return Check(Level.FAIL, "CPUs", state, fix)
    if not machine_fit.has_cpus(found, environment, variant, machine_fit.COMFORTABLE_SHARE):
        return Check(Level.WARN, "CPUs", state, f"it fits, but is slow under load; lighter: {lighter}")
    return Check(Level.OK, "CPUs", state)


def _memory(found: MachineFacts, environment: Environment, variant: Variant) -> Check:
    needed = _gib(machine_fit.needed_bytes(environment, variant))
    free = "" if found.memory_free is None else f", {_gib(found.memory_free)} free"
    state = f"{_gib(found.memory_total)} GiB{free}"
    lighter = machine_fit.lighter(found, environment, variant)
    if not machine_fit.has_memory(found, environment, variant):
        fix = f"{_named(environment, variant)} needs {needed} GiB: give Docker more, or {lighter}"
        return Check(Level.FAIL, "memory", state, fix)
    if not machine_fit.has_free_memory(found, environment, variant):
        fix = f"{needed} GiB must be free: close programs (ps aux --sort=-rss), or {lighter}"
        return Check(Level.FAIL, "memory", state, fix)
    return Check(Level.OK, "memory", state)


def _named(environment: Environment, variant: Variant) -> str:
    return f"ENV={environment}" + (f" VARIANT={variant}" if variant != "python" else "")


def _disk(found: MachineFacts) -> Check:
    if found.disk_free is None:
        return Check(Level.WARN, "disk", "docker's data folder is not on this file system", "docker system df")
    state = f"{_gib(found.disk_free)} GiB free in {found.disk_path}"
    if found.disk_free < DISK_FREE:
        return Check(Level.FAIL, "disk", state, f"{_gib(DISK_FREE)} GiB are needed: docker builder prune")
    if found.disk_free < DISK_FREE_COMFORTABLE:
        fix = f"{_gib(DISK_FREE_COMFORTABLE)} GiB are recommended: docker builder prune"
        return Check(Level.WARN, "disk", state, fix)
    return Check(Level.OK, "disk", state)


def _inotify_lines(limits: Mapping[str, int]) -> list[Check]:
    lines = []
    for name, needed in INOTIFY.items():
        if name not in limits:
            continue  # not Linux: the engine runs in a virtual machine with its own limits
        level = Level.OK if limits[name] >= needed else Level.FAIL
        fix = f"sudo sysctl -w fs.inotify.{name}={needed}" if level is Level.FAIL else ""
        lines.append(Check(level, f"inotify {name}", str(limits[name]), fix))
    return lines


def _port(setting: str, number: int, found: MachineFacts, again: str) -> Check:
    if number not in found.taken:
        return Check(Level.OK, f"port {number}", "free" if not found.cluster_runs else "free, or bound by the cluster")
    holder = found.holders.get(number, "another program")
    fix = free_or_move(setting, number, again)
    return Check(Level.FAIL, f"port {number}", f"bound by {holder}", fix)


def _tool(name: str, found: MachineFacts) -> Check:
    output, needed = found.versions.get(name), VERSIONS[name]
    blocking = Level.WARN if name in ONLY_FOR_COMPOSE else Level.FAIL
    least = ".".join(map(str, needed))
    if output is None:
        if name == "docker engine" and found.versions.get("docker") is not None:
            fix = f"sudo systemctl start docker; for permission: sudo usermod -aG docker $USER; {AIRGAP_HINT}"
            return Check(blocking, name, found.engine_error or "it does not answer", fix)
        program = {"docker engine": "docker", "buildx": "docker", "compose": "docker"}.get(name, name)
        return Check(blocking, name, "missing", f"{least} or newer is needed: {install_hint(program)}")
    version = version_of(output)
    if version is None:
        return Check(Level.OK, name, "unknown version")
    state = ".".join(map(str, version))
    if version < needed:
        return Check(blocking, name, state, f"{least} or newer is needed: {install_hint(name.split(maxsplit=1)[0])}")
    return Check(Level.OK, name, state)


def _no_diff() -> Check:
    fix = "only helmfile apply and helmfile diff need it: helmfile init"
    return Check(Level.WARN, "helm-diff", "missing", fix)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}".removesuffix(".0")
