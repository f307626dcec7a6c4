"""Bring the platform up: check, cluster, images, releases, and wait until all of it is ready.

Each phase looks at what is there and does the rest; so a half-finished ``make up`` is finished, and a finished one
upgrades, by running it again.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console

from ops.common import variant
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import CLUSTER, OpsSettings
from ops.kubernetes import doctor, helm, helmfile, installation, kind, machine, upgrade_check
from ops.kubernetes.cluster import Cluster
from ops.kubernetes.pods import last_warnings
from ops.kubernetes.release_progress import ReleaseProgress, snapshot
from ops.platform import exposed_ports, images, make_command, state, url_table

_TOLD_EVENTS = 8
_TOLD_LOG_LINES = 15


class Phases:
    """Measures and tells the phases."""

    def __init__(self, out: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._out = out
        self._clock = clock

    @contextmanager
    def phase(self, name: str, description: str) -> Iterator[None]:
        """Tell that a phase begins, and its seconds when it ended well."""
        self._out.print(f"[bold]{name}[/bold]: {description}", soft_wrap=True)
        started = self._clock()
        yield
        self.seconds[name] = round(self._clock() - started, 1)
        self._out.print(f"{self.seconds[name]:7.1f} s  {name} done")

    def report(self, text: str) -> None:
        """Tell what is done inside a phase."""
        self._out.print(f"           {text}", markup=False, soft_wrap=True)


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Bring everything up; return 0 when all is ready and well, 1 where an endpoint is not."""
    parser = argparse.ArgumentParser(prog="python -m ops up", description=__doc__)
    url_table.add_no_passwords(parser)
    chosen = parser.parse_args(arguments)
    out = console()
    phases = Phases(out)
    if settings.ENV == "production" and settings.is_kind:
        cause = "it needs several nodes, a database and an object store of yours"
        raise Problem("production is not for kind", cause, "make up ENV=production KUBE_CONTEXT=yours")
    if settings.VALUES:
        helmfile.refuse_own(helmfile.own_values(settings.VALUES), settings.KUBE_CONTEXT)
    with state.exclusive():
        _check_machine(settings, phases, out)
        numbers = _cluster(settings, phases) if settings.is_kind else exposed_ports.effective(settings)
        cluster = Cluster(settings.KUBE_CONTEXT)
        env = {"KUBE_CONTEXT": settings.KUBE_CONTEXT, **{name: str(number) for name, number in numbers.items()}}
        if not settings.is_kind:
            refuse_images_of_nobody(settings, env)
        refuse_change(settings, cluster, env)
        if settings.is_kind:
            _images(phases, variant.images(settings.VARIANT, images.NAMES))
        remembered = {
            "environment": settings.ENV,
            "variant": settings.VARIANT,
            "values": str(helmfile.own_values(settings.VALUES)) if settings.VALUES else "",
            "context": settings.KUBE_CONTEXT,
            "ports": numbers,
        }
        state.remember(remembered)  # before anything is there: `make down` has to know it even if this fails
        with phases.phase("releases", f"environment {settings.ENV} on {settings.KUBE_CONTEXT}"):
            recover(settings, cluster, phases.report)
            _releases(settings, cluster, env, out)
        total = round(sum(phases.seconds.values()), 1)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        state.remember({**remembered, "seconds": {**phases.seconds, "total": total}, "finished_at": finished})
    out.print(f"{total:7.1f} s  in all")
    installed = installation.find(settings)
    if installed is None or not settings.is_kind:
        out.print("reach it from this machine: make forward, then make urls")
        return 0
    return url_table.show(installed, out, hide=url_table.hidden(out, asked=chosen.no_passwords))


def make_cluster(settings: OpsSettings, arguments: list[str]) -> int:
    """Make the kind cluster, or start it again, and nothing else; return 0."""
    argparse.ArgumentParser(prog="python -m ops cluster", description=make_cluster.__doc__).parse_args(arguments)
    _refuse_others(settings, "make cluster")
    out = console()
    phases = Phases(out)
    with state.exclusive():
        _check_machine(settings, phases, out)
        _cluster(settings, phases)
    out.print("next: make load")
    return 0


def load_images(settings: OpsSettings, arguments: list[str]) -> int:
    """Build what changed of the images, and load them into the kind cluster; return 0.

    Raises:
        Problem: there is no such cluster, or it does not run.
    """
    argparse.ArgumentParser(prog="python -m ops load", description=load_images.__doc__).parse_args(arguments)
    _refuse_others(settings, "make load")
    out = console()
    with state.exclusive():
        found = kind.node()
        if found is None or found.state != "running":
            cause = f"its node {kind.NODE} is {found.state if found else 'missing'}"
            raise Problem("there is no cluster to load images into", cause, "make cluster, then make load again")
        _images(Phases(out), variant.images(settings.VARIANT, images.NAMES))
        numbers = exposed_ports.effective(settings, found.bound)
    env = {name: str(number) for name, number in numbers.items()}
    action = helmfile.INSTALL if helm.has_diff() else helmfile.UPGRADE
    line = helmfile.command(settings.ENV, settings.KUBE_CONTEXT, action, own=settings.VALUES)
    out.print(f"next: {helmfile.shown(line, env)}", markup=False, soft_wrap=True)
    return 0


def _refuse_others(settings: OpsSettings, target: str) -> None:
    if not settings.is_kind:
        cause = f"{target} works on the kind cluster of this machine, and KUBE_CONTEXT names another"
        fix = "make images PUSH=1 IMAGE_REGISTRY=registry.example.com/me, then make up with the same IMAGE_REGISTRY"
        raise Problem(f"{settings.KUBE_CONTEXT} is not kind's", cause, fix)


def _check_machine(settings: OpsSettings, phases: Phases, out: Console) -> None:
    again = make_command.make_up()
    lines = doctor.examine(machine.inspect(settings), settings.ENV, is_kind=settings.is_kind, again=again)
    if doctor.blocks(lines):
        doctor.show(lines, out)
        raise Problem("this machine is not ready", "see the lines marked FAIL", f"mend them, then {again} again")
    for line in lines:
        if line.level is doctor.Level.WARN:
            phases.report(f"{line.name}: {line.found}; {line.fix}")


def _cluster(settings: OpsSettings, phases: Phases) -> dict[str, int]:
    """Have the cluster; return the ports that it is reached through."""
    found = kind.node()
    if found is not None:
        _refuse_moved_ports(settings, found)
    numbers = exposed_ports.effective(settings, found.bound if found else None)
    mapped = {port.node_port: numbers[port.setting] for port in exposed_ports.EXPOSED}
    with phases.phase("cluster", f"kind cluster {CLUSTER}"):
        kind.ensure(mapped, phases.report)
    return numbers


def _images(phases: Phases, names: list[str]) -> None:
    """Have the images in the cluster."""
    with phases.phase("images", "build what changed"):
        images.build(names)
    with phases.phase("load", "hand the images to the cluster"):
        images.load_into_kind(CLUSTER, names=names)


def _refuse_moved_ports(settings: OpsSettings, found: kind.Node) -> None:
    for setting, (asked, bound) in exposed_ports.moved_too_late(settings, found.bound).items():
        anew = f"make down && {make_command.make_up(f'{setting}={asked}')}"
        raise Problem(
            f"{setting} cannot move to {asked}",
            f"the cluster was made with {bound}, and kind maps ports only when it makes a node",
            f"leave {setting} out, or make the cluster anew without its data: {anew}",
        )


def refuse_images_of_nobody(settings: OpsSettings, env: dict[str, str]) -> None:
    """Check that a cluster of others can have our images: without a registry it would ask Docker Hub for them.

    Raises:
        Problem: the values name no registry, and pullPolicy is not Never, as where the nodes have them already.
    """
    image = helmfile.values(settings.ENV, settings.KUBE_CONTEXT, env, "producer", own=settings.VALUES)["producer"][
        "image"
    ]
    if image["registry"] or image["pullPolicy"] == "Never":
        return
    registry = "IMAGE_REGISTRY=registry.example.com/me"
    cause = f"{settings.KUBE_CONTEXT} would ask Docker Hub for crypto-analytics/producer, which is not there"
    fix = (
        f"push them to a registry that it reaches: make images PUSH=1 {registry}, then {make_command.make_up(registry)}"
    )
    raise Problem("the cluster cannot have the images", cause, fix)


def refuse_change(settings: OpsSettings, cluster: Cluster, env: dict[str, str]) -> None:
    """Check that the feed and Kafka's mode stay what they are in the cluster.

    Raises:
        Problem: one of them would change.
    """
    releases = ("producer", "kafka")
    values = helmfile.values(settings.ENV, settings.KUBE_CONTEXT, env, *releases, own=settings.VALUES)
    then = upgrade_check.planned(values)
    upgrade_check.refuse_change(upgrade_check.installed(cluster, str(then.kafka)), then, settings.KUBE_CONTEXT)


def recover(settings: OpsSettings, cluster: Cluster, report: Callable[[str], None]) -> None:
    """Free the releases that a killed helm left half done, in our own cluster.

    Raises:
        Problem: in a cluster of others, where another helm may be at work, its user has to do it.
    """
    for recovery in helm.recoveries(helm.revisions(cluster.helm_secrets())):
        if not settings.is_kind:
            freed = " ".join(recovery.command(cluster.context))
            fix = f"if no other helm is at work: {freed}; then {make_command.make_up()} again"
            raise Problem(f"release {recovery.release} is {recovery.status}", "a helm was ended, or works on it", fix)
        report(recovery.summary)
        helm.recover(recovery, cluster.context)


def _releases(settings: OpsSettings, cluster: Cluster, env: dict[str, str], out: Console) -> None:
    first = helm.has_diff() and not cluster.helm_secrets()
    action = helmfile.INSTALL if first else helmfile.UPGRADE
    line = helmfile.command(settings.ENV, settings.KUBE_CONTEXT, action, own=settings.VALUES)
    out.print(f"           {helmfile.shown(line, env)}", markup=False, soft_wrap=True)
    log = state.logs() / "helmfile.log"
    limit = settings.UP_TIMEOUT_MINUTES * 60
    try:
        with ReleaseProgress(out) as progress:
            helmfile.run(line, env, log, limit=limit, watch=lambda: progress.show(snapshot(cluster)))
    except Problem:
        tell_failure(cluster, out)
        raise


def tell_failure(cluster: Cluster, out: Console) -> None:
    """Print the last warnings, and the last lines of what is not well."""
    sight = snapshot(cluster)
    if sight is None:
        out.print("the cluster's API does not answer")
        return
    for event in last_warnings(sight.events.values(), _TOLD_EVENTS):
        out.print(f"event  {event.about}: {event}", markup=False, soft_wrap=True)
    for pod in sight.pods:
        if pod.is_well:
            continue
        out.print(f"pod    {pod.name}: {pod.why}", markup=False, soft_wrap=True)
        for line in cluster.last_log(pod.name, _TOLD_LOG_LINES):
            out.print(f"       {line}", markup=False, soft_wrap=True)
