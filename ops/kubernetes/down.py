"""Remove the platform from Kubernetes. Lists what is removed and what is kept, before removing anything."""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, NAMESPACE, Environment, OpsSettings
from ops.kubernetes import environment_choice, helmfile, kind_cluster
from ops.platform import kind_node_ports, state_folder

_DESTROY_SECONDS = 900


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Delete the kind cluster, or uninstall our releases from another cluster."""
    argparse.ArgumentParser(prog="python -m ops down", description=__doc__).parse_args(arguments)
    out = console()
    with state_folder.exclusive():
        if settings.is_kind:
            _kind(settings, out)
        else:
            _releases(settings, out)
    return 0


def _kind(settings: OpsSettings, out: Console) -> None:
    if kind_cluster.node() is None:
        out.print("no kind cluster exists")
        return
    out.print(f"removed: {KIND_CONTEXT} with its pods, its passwords, and the data of all servers")
    out.print(
        "kept:    images, .platform/, caches, local runs, Compose (make nuke removes images, Compose and .platform/)"
    )
    confirm(settings, "down")
    started = time.monotonic()
    kind_cluster.delete()
    out.print(f"{time.monotonic() - started:7.1f} s  cluster removed")


def _releases(settings: OpsSettings, out: Console) -> None:
    """Uninstall in reverse order, so that each operator still runs while its resources are deleted."""
    last = state_folder.load_last_up()
    environment, own = environment_of(settings, last), values_of(settings, last)
    out.print(f"removed: all releases of ENV={environment} in {settings.KUBE_CONTEXT}, namespace {NAMESPACE}")
    out.print("kept:    the cluster, and the namespace with its Secrets and volumes, which hold the data")
    out.print("         (before changing FEED or ENV, remove them too: trades of two feeds must not be mixed)")
    numbers = kind_node_ports.effective(settings)
    env = {"KUBE_CONTEXT": settings.KUBE_CONTEXT, **{name: str(number) for name, number in numbers.items()}}
    kubectl = f"kubectl --context {settings.KUBE_CONTEXT}"
    strimzi = helmfile.values(environment, settings.KUBE_CONTEXT, env, "kafka", own=own)["kafka"]["mode"] == "strimzi"
    for text in kept_kafka(kubectl) if strimzi else ():
        out.print(f"         {text}", markup=False, soft_wrap=True)
    out.print(f"         to remove these too: {kubectl} delete namespace {NAMESPACE}")
    confirm(settings, "down")
    line = helmfile.command(environment, settings.KUBE_CONTEXT, "destroy", own=own)
    log = state_folder.logs() / "helmfile-destroy.log"
    started = time.monotonic()
    helmfile.run(line, env, log, limit=_DESTROY_SECONDS)
    out.print(f"{time.monotonic() - started:7.1f} s  releases removed")


def kept_kafka(kubectl: str) -> list[str]:
    """Return the lines on Strimzi's resources, which outlive their release and need the operator to be deleted."""
    ours = f"{kubectl} --namespace {NAMESPACE}"
    free = """--type=merge --patch '{"metadata":{"finalizers":null}}'"""
    return [
        "Kafka, its node pools and its topics are kept too, with all records. To delete them, before make down:",
        f"  {ours} delete kafkatopics --all",
        f"  {ours} delete kafka/crypto",
        f"  {ours} delete kafkanodepools,persistentvolumeclaims --selector strimzi.io/cluster=crypto",
        "  then make down, then the namespace. If topics block its deletion because the operator has been removed:",
        f"  for topic in $({ours} get kafkatopics --output name); do {ours} patch $topic {free}; done",
    ]


def environment_of(settings: OpsSettings, last: Mapping[str, Any]) -> Environment:
    """Return the environment to remove: the named one, otherwise that of the last ``make up`` on this context."""
    return environment_choice.known(settings, last) or settings.ENV


def values_of(settings: OpsSettings, last: Mapping[str, Any]) -> str:
    """Return the user's own values file: the named one, otherwise that of the last ``make up`` of this environment."""
    same = (settings.KUBE_CONTEXT, environment_of(settings, last)) == (last.get("context"), last.get("environment"))
    return settings.VALUES or (str(last.get("values", "")) if same else "")


def confirm(settings: OpsSettings, target: str) -> None:
    """Ask the user to confirm at the terminal; YES=1 confirms without asking.

    Raises:
        Problem: standard input is not a terminal, or the answer is no.
    """
    if settings.YES:
        return
    if not sys.stdin.isatty():
        raise Problem("nothing was removed", "standard input is not a terminal", f"make {target} YES=1")
    if input("remove it? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Problem("nothing was removed", "the answer was no", f"to remove without asking: make {target} YES=1")
