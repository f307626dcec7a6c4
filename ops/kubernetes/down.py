"""Take the platform down. What goes and what stays is said before anything is removed."""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, NAMESPACE, Environment, OpsSettings
from ops.kubernetes import helmfile, kind
from ops.platform import exposed_ports, state

_DESTROY_SECONDS = 900


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Remove the kind cluster, or our releases from a cluster of others."""
    argparse.ArgumentParser(prog="python -m ops down", description=__doc__).parse_args(arguments)
    out = console()
    with state.exclusive():
        if settings.is_kind:
            _kind(settings, out)
        else:
            _releases(settings, out)
    return 0


def _kind(settings: OpsSettings, out: Console) -> None:
    if kind.node() is None:
        out.print("there is no kind cluster")
        return
    out.print(f"goes:  {KIND_CONTEXT} with all in it: pods, passwords, and the data of Kafka, PostgreSQL and MinIO")
    out.print("stays: images, .platform/, caches, embedded runs, Compose (make nuke removes those of the platform too)")
    confirm(settings, "down")
    started = time.monotonic()
    kind.delete()
    out.print(f"{time.monotonic() - started:7.1f} s  cluster removed")


def _releases(settings: OpsSettings, out: Console) -> None:
    """Uninstall in reverse order: what an operator manages goes while the operator is there to clean up after it."""
    last = state.recall()
    environment, own = environment_of(settings, last), values_of(settings, last)
    out.print(f"goes:  all releases of ENV={environment} in {settings.KUBE_CONTEXT}, namespace {NAMESPACE}")
    out.print("stays: the namespace, its Secrets and volumes (they hold the data), the cluster itself")
    out.print("       (trades of another feed must not meet them: remove these too before FEED or ENV changes)")
    numbers = exposed_ports.effective(settings)
    env = {"KUBE_CONTEXT": settings.KUBE_CONTEXT, **{name: str(number) for name, number in numbers.items()}}
    kubectl = f"kubectl --context {settings.KUBE_CONTEXT}"
    strimzi = helmfile.values(environment, settings.KUBE_CONTEXT, env, "kafka", own=own)["kafka"]["mode"] == "strimzi"
    for text in kept_kafka(kubectl) if strimzi else ():
        out.print(f"       {text}", markup=False, soft_wrap=True)
    out.print(f"       to remove these too: {kubectl} delete namespace {NAMESPACE}")
    confirm(settings, "down")
    line = helmfile.command(environment, settings.KUBE_CONTEXT, "destroy", own=own)
    log = state.logs() / "helmfile-destroy.log"
    started = time.monotonic()
    helmfile.run(line, env, log, limit=_DESTROY_SECONDS)
    out.print(f"{time.monotonic() - started:7.1f} s  releases removed")


def kept_kafka(kubectl: str) -> list[str]:
    """Return what to say of Strimzi's resources, which outlive their release: only their operator lets go of topics."""
    ours = f"{kubectl} --namespace {NAMESPACE}"
    free = """--type=merge --patch '{"metadata":{"finalizers":null}}'"""
    return [
        "Kafka, its node pools and topics stay too, with their records. They go before make down, in this order:",
        f"  {ours} delete kafkatopics --all",
        f"  {ours} delete kafka/crypto",
        f"  {ours} delete kafkanodepools,persistentvolumeclaims --selector strimzi.io/cluster=crypto",
        "  then make down, then the namespace. One that does not go, as its topics wait for an operator that has gone:",
        f"  for topic in $({ours} get kafkatopics --output name); do {ours} patch $topic {free}; done",
    ]


def environment_of(settings: OpsSettings, last: Mapping[str, Any]) -> Environment:
    """Return the environment to take down: the one that is named, else what the last ``make up`` brought up there."""
    if "ENV" in settings.model_fields_set or last.get("context") != settings.KUBE_CONTEXT:
        return settings.ENV
    remembered: Environment = last["environment"]
    return remembered


def values_of(settings: OpsSettings, last: Mapping[str, Any]) -> str:
    """Return the user's own values: those that are named, else those of that environment's last ``make up`` there."""
    same = (settings.KUBE_CONTEXT, environment_of(settings, last)) == (last.get("context"), last.get("environment"))
    return settings.VALUES or (str(last.get("values", "")) if same else "")


def confirm(settings: OpsSettings, target: str) -> None:
    """Go on only with the user's word (YES=1, or an answer at the terminal).

    Raises:
        Problem: there is nobody to ask, or the answer is no.
    """
    if settings.YES:
        return
    if not sys.stdin.isatty():
        raise Problem("nothing was removed", "there is no terminal to ask at", f"make {target} YES=1")
    if input("remove it? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Problem("nothing was removed", "the answer was no", f"without a question: make {target} YES=1")
