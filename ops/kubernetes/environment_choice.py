"""The environment of a `make up` without ENV: the installed one, otherwise one that fits the machine."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from ops.common.candle_variant import Variant
from ops.common.errors import Problem
from ops.common.settings import Environment, OpsSettings
from ops.common.units import GIB
from ops.kubernetes import machine_fit, pod_resources
from ops.kubernetes.machine import MachineFacts
from ops.platform import state_folder

_OFFERED: dict[Environment, str] = {
    "default": "Kafka and Spark by their operators, from container registries; trades from the exchange",
    "lite": "no operator; trades from a simulator",
}


def known(settings: OpsSettings, last: Mapping[str, Any]) -> Environment | None:
    """Return the environment that ENV names, otherwise that of the last ``make up`` on this context; None: neither."""
    if "ENV" in settings.model_fields_set:
        return settings.ENV
    if last.get("context") != settings.KUBE_CONTEXT:
        return None
    remembered: Environment = last["environment"]
    return remembered


def proposed(settings: OpsSettings, found: MachineFacts) -> tuple[Environment, str]:
    """Return the environment that ``make up`` would install or propose, and why."""
    if "ENV" in settings.model_fields_set:
        return settings.ENV, "ENV names it"
    last = known(settings, _last(settings, found))
    if last is not None:
        return last, "as at the last make up"
    if not settings.is_kind:
        return settings.ENV, f"the cluster {settings.KUBE_CONTEXT} is not this machine"
    chosen = machine_fit.fitting(found, settings.VARIANT)
    return chosen, _reason(found, chosen)


def with_environment(
    settings: OpsSettings, found: MachineFacts, out: Console, ask: Callable[[str], str] | None = None
) -> OpsSettings:
    """Return the settings with an environment; ``ask``, if given, asks the user for it where none is installed.

    Raises:
        Problem: the answer is not the name of an environment.
    """
    if "ENV" in settings.model_fields_set:
        return settings
    chosen, why = proposed(settings, found)
    is_open = settings.is_kind and known(settings, _last(settings, found)) is None
    for name, what in _OFFERED.items() if is_open else ():
        out.print(f"{name:8} {_needs(name, settings.VARIANT)}; {what}", markup=False, soft_wrap=True)
    if is_open and ask is not None:
        chosen = _answer(ask(f"{why}. Environment to install [{chosen}]: "), chosen)
    else:
        out.print(f"ENV={chosen}: {why}; another: make up ENV=…", markup=False, soft_wrap=True)
    return settings.model_copy(update={"ENV": chosen})


def terminal() -> Callable[[str], str] | None:
    """Return what asks the user; None in CI and without a terminal."""
    return input if sys.stdin.isatty() and not os.environ.get("CI") else None


def _last(settings: OpsSettings, found: MachineFacts) -> Mapping[str, Any]:
    """Return the last ``make up``, unless its kind cluster has been removed."""
    return state_folder.load_last_up() if found.cluster_exists or not settings.is_kind else {}


def _needs(environment: Environment, variant: Variant) -> str:
    cpus, memory = pod_resources.needed_cpu(environment, variant), machine_fit.needed_bytes(environment, variant)
    return f"{cpus / 1000:.2f} CPUs, {memory / GIB:.1f} GiB"


def _reason(found: MachineFacts, chosen: Environment) -> str:
    free = "" if found.memory_free is None else f" ({found.memory_free / GIB:.1f} free)"
    has = f"Docker has {found.cpus} CPUs and {found.memory_total / GIB:.1f} GiB{free}"
    return f"{has}, which {'fits both' if chosen == 'default' else 'is too small for default'}"


def _answer(text: str, proposed: Environment) -> Environment:
    answer = text.strip() or proposed
    for name in _OFFERED:
        if answer == name:
            return name
    raise Problem("there is no such environment", f"the answer was {answer}", f"make up ENV={proposed}")
