"""Install or upgrade the platform on Kubernetes: check the machine, then cluster, images and releases.

Each phase compares the actual state with the wanted one and performs only the missing steps. Running ``make up`` again
therefore continues an interrupted run, and upgrades a complete one.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import CLUSTER, Environment, OpsSettings
from ops.kubernetes import (
    access,
    custom_resources,
    doctor,
    environment_choice,
    feed,
    helm,
    helmfile,
    kind_cluster,
    machine,
    upgrade_check,
)
from ops.kubernetes.early_end import EarlyEnd
from ops.kubernetes.kube_api import KubeApi
from ops.kubernetes.pods import last_warnings
from ops.kubernetes.release_progress import ReleaseProgress, shortened, snapshot
from ops.platform import images, kind_node_ports, make_command, published_images, state_folder, url_table
from ops.platform.health import AFTER_START_SECONDS

_SHOWN_EVENTS = 8
_SHOWN_LOG_LINES = 15
_LOG_WIDTH = 400  # characters; Java programs print class paths of several thousand


class Phases:
    """Prints the phases and measures their duration."""

    def __init__(self, out: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self.out = out
        self._clock = clock

    @contextmanager
    def phase(self, name: str, description: str) -> Iterator[None]:
        """Print the start of a phase, and its duration when it has succeeded."""
        self.out.print(f"[bold]{name}[/bold]: {description}", soft_wrap=True)
        started = self._clock()
        yield
        self.seconds[name] = round(self._clock() - started, 1)
        self.out.print(f"{self.seconds[name]:7.1f} s  {name} done")

    def report(self, text: str) -> None:
        """Print one step of the current phase."""
        self.out.print(f"           {text}", markup=False, soft_wrap=True)


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Install or upgrade everything; return 0 when every endpoint is healthy, otherwise 1."""
    parser = argparse.ArgumentParser(prog="python -m ops up", description=__doc__)
    url_table.add_no_passwords(parser)
    chosen = parser.parse_args(arguments)
    out = console()
    phases = Phases(out)
    found = machine.inspect(settings)
    settings = environment_choice.with_environment(settings, found, out, environment_choice.terminal())
    if settings.ENV == "production" and settings.is_kind:
        cause = "the environment needs several nodes, and a database and an object store outside of the cluster"
        raise Problem("environment production cannot run on kind", cause, "make up ENV=production KUBE_CONTEXT=yours")
    if settings.VALUES:
        helmfile.check_own_values(helmfile.own_values(settings.VALUES), settings.KUBE_CONTEXT)
    with state_folder.exclusive():
        again = make_command.make_up()
        _check_machine(found, settings, settings.ENV, phases, again)
        numbers = _cluster(settings, phases, again) if settings.is_kind else kind_node_ports.effective(settings)
        cluster = KubeApi(settings.KUBE_CONTEXT)
        env = helmfile.variables(settings.KUBE_CONTEXT, settings.VARIANT, numbers)
        if settings.is_kind:
            env |= feed.fallback(settings, cluster, env, phases.report)
        else:
            _require_published(settings, env, phases.report)
            check_registry(settings, env)
        check_unchanged(settings, cluster, env)
        if settings.is_kind:
            _images(settings, env, phases)
        record = {
            "environment": settings.ENV,
            "variant": settings.VARIANT,
            "values": str(helmfile.own_values(settings.VALUES)) if settings.VALUES else "",
            "context": settings.KUBE_CONTEXT,
            "ports": numbers,
        }
        state_folder.save_last_up(record)  # before anything is installed: `make down` needs it even after a failure
        with phases.phase("releases", f"environment {settings.ENV} on {settings.KUBE_CONTEXT}"):
            recover(settings, cluster, phases.report)
            _releases(settings, cluster, env, out)
        total = round(sum(phases.seconds.values()), 1)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        state_folder.save_last_up({**record, "seconds": {**phases.seconds, "total": total}, "finished_at": finished})
    out.print(f"{total:7.1f} s  total")
    installed = access.find(settings)
    if installed is None or not settings.is_kind:
        forward, urls = (make_command.target(name, settings.KUBE_CONTEXT) for name in ("forward", "urls"))
        out.print(f"to reach it from this machine: {forward}, then {urls}", markup=False, soft_wrap=True)
        return 0
    hide = url_table.hide_passwords(out, requested=chosen.no_passwords)
    return url_table.show(installed, out, hide=hide, seconds=AFTER_START_SECONDS)


def make_cluster(settings: OpsSettings, arguments: list[str]) -> int:
    """Create the kind cluster, or start a stopped one, and install nothing; return 0."""
    argparse.ArgumentParser(prog="python -m ops cluster", description=make_cluster.__doc__).parse_args(arguments)
    _require_kind(settings, "make cluster")
    out = console()
    phases = Phases(out)
    with state_folder.exclusive():
        # nothing is installed that would need CPUs and memory
        _check_machine(machine.inspect(settings), settings, None, phases, "make cluster")
        _cluster(settings, phases, "make cluster")
    out.print("next: make load")
    return 0


def load_images(settings: OpsSettings, arguments: list[str]) -> int:
    """Build the images that changed and load them into the kind cluster; return 0.

    Raises:
        Problem: the cluster is missing or stopped.
    """
    argparse.ArgumentParser(prog="python -m ops load", description=load_images.__doc__).parse_args(arguments)
    _require_kind(settings, "make load")
    out = console()
    with state_folder.exclusive():
        found = kind_cluster.node()
        if found is None or found.state != "running":
            cause = f"its node {kind_cluster.NODE} is {found.state if found else 'missing'}"
            raise Problem("no cluster is running to load images into", cause, "make cluster, then make load again")
        environment = environment_choice.known(settings, state_folder.load_last_up()) or settings.ENV
        settings = settings.model_copy(update={"ENV": environment})
        numbers = kind_node_ports.effective(settings, found.bound)
        env = helmfile.variables(settings.KUBE_CONTEXT, settings.VARIANT, numbers)
        if settings.VALUES:  # the command that is printed names the file; helmfile compares what a template sets
            helmfile.check_own_values(helmfile.own_values(settings.VALUES), settings.KUBE_CONTEXT)
        _images(settings, env, Phases(out))
    action = helmfile.INSTALL if helm.has_diff() else helmfile.UPGRADE
    line = helmfile.command(settings.ENV, settings.KUBE_CONTEXT, action, own=settings.VALUES)
    out.print(f"next: {helmfile.shown(line, env)}", markup=False, soft_wrap=True)
    return 0


def _require_kind(settings: OpsSettings, target: str) -> None:
    if not settings.is_kind:
        cause = f"{target} works on the kind cluster of this machine only"
        fix = "make images PUSH=1 IMAGE_REGISTRY=registry.example.com/me, then make up with the same IMAGE_REGISTRY"
        raise Problem(f"the context {settings.KUBE_CONTEXT} is not the kind cluster", cause, fix)


def _check_machine(
    found: machine.MachineFacts, settings: OpsSettings, environment: Environment | None, phases: Phases, again: str
) -> None:
    lines = doctor.examine(found, environment, settings.VARIANT, is_kind=settings.is_kind, again=again)
    if doctor.blocks(lines):
        doctor.show(lines, phases.out, environment)
        raise Problem("this machine is not ready", "see the lines marked FAIL", f"fix them, then run {again} again")
    for line in lines:
        if line.level is doctor.Level.WARN:
            phases.report(f"{line.name}: {line.found}; {line.fix}")


def _cluster(settings: OpsSettings, phases: Phases, again: str) -> dict[str, int]:
    """Make sure that the cluster runs; return its ports on this machine by setting."""
    found = kind_cluster.node()
    if found is not None:
        _check_ports(settings, found, again)
    numbers = kind_node_ports.effective(settings, found.bound if found else None)
    mapped = {port.node_port: numbers[port.setting] for port in kind_node_ports.EXPOSED}
    with phases.phase("cluster", f"kind cluster {CLUSTER}"):
        kind_cluster.ensure(mapped, phases.report)
    return numbers


def _images(settings: OpsSettings, env: dict[str, str], phases: Phases) -> None:
    """Build the images that the objects to be installed name, or pull the release's, and load them into the cluster."""
    names = _image_names(settings, env)
    published = settings.IMAGES == "published"
    with phases.phase("images", "pull the release's" if published else "build those that changed"):
        registry = published_images.find(names, phases.report) if published else os.environ.get("IMAGE_REGISTRY", "")
        env["IMAGE_REGISTRY"] = registry
        if published and registry:
            published_images.pull(names, registry, phases.report)
        else:
            images.build(names, registry)
    with phases.phase("load", "load them into the cluster"):
        images.load_into_kind(CLUSTER, registry, names)


def _image_names(settings: OpsSettings, env: dict[str, str]) -> list[str]:
    return images.named_in(helmfile.objects(settings.ENV, settings.KUBE_CONTEXT, env, settings.VALUES))


def _require_published(settings: OpsSettings, env: dict[str, str], report: Callable[[str], None]) -> None:
    """Let a cluster other than kind pull the release's images if the user asks for them.

    Raises:
        Problem: they are not published.
    """
    if settings.IMAGES != "published":
        return
    env["IMAGE_REGISTRY"] = published_images.find(_image_names(settings, env), report)
    if not env["IMAGE_REGISTRY"]:
        fix = "make images PUSH=1 IMAGE_REGISTRY=registry.example.com/me, then make up with it and without IMAGES"
        raise Problem("the cluster cannot pull the release's images", "the reason is above", fix)


def _check_ports(settings: OpsSettings, found: kind_cluster.Node, again: str) -> None:
    for setting, (requested, bound) in kind_node_ports.conflicts(settings, found.bound).items():
        recreate = f"make down && {again} {setting}={requested}"
        raise Problem(
            f"{setting} cannot move to {requested}",
            f"the cluster was created with {bound}, and kind maps ports only when it creates a node",
            f"leave {setting} out, or recreate the cluster, which removes its data: {recreate}",
        )


def check_registry(settings: OpsSettings, env: dict[str, str]) -> None:
    """Check that a cluster other than kind can pull our images; without a registry it would ask Docker Hub.

    Raises:
        Problem: the values name no registry, and pullPolicy is not Never, which means that the nodes have the images.
    """
    image = helmfile.values(settings.ENV, settings.KUBE_CONTEXT, env, "producer", own=settings.VALUES)["producer"][
        "image"
    ]
    if image["registry"] or image["pullPolicy"] == "Never":
        return
    registry = "IMAGE_REGISTRY=registry.example.com/me"
    cause = f"{settings.KUBE_CONTEXT} would pull crypto-analytics/producer from Docker Hub, where it does not exist"
    fix = f"push them to a registry of yours: make images PUSH=1 {registry}, then {make_command.make_up(registry)}"
    raise Problem("the cluster cannot pull the images", cause, fix)


def check_unchanged(settings: OpsSettings, cluster: KubeApi, env: dict[str, str]) -> None:
    """Check that the upgrade changes neither the feed nor Kafka's mode nor the S3 server.

    Raises:
        Problem: one of them would change.
    """
    releases = ("producer", "kafka", "batch")
    values = helmfile.values(settings.ENV, settings.KUBE_CONTEXT, env, *releases, own=settings.VALUES)
    then = upgrade_check.planned(values)
    upgrade_check.check_unchanged(upgrade_check.installed(cluster, str(then.kafka)), then, settings.KUBE_CONTEXT)


def recover(settings: OpsSettings, cluster: KubeApi, report: Callable[[str], None]) -> None:
    """Roll back or remove the releases that a killed helm left pending; only on the kind cluster.

    Raises:
        Problem: a release is pending on another cluster, where somebody else's helm may be running.
    """
    for recovery in helm.recoveries(helm.revisions(cluster.helm_secrets())):
        if not settings.is_kind:
            freed = " ".join(recovery.command(cluster.context))
            fix = f"if no other helm is running: {freed}; then {make_command.make_up()} again"
            raise Problem(
                f"release {recovery.release} is {recovery.status}",
                "a helm process was killed, or is still running",
                fix,
            )
        report(recovery.summary)
        helm.recover(recovery, cluster.context)


def _releases(settings: OpsSettings, cluster: KubeApi, env: dict[str, str], out: Console) -> None:
    before = helm.newest(helm.revisions(cluster.helm_secrets()))
    first = helm.has_diff() and not before
    action = helmfile.INSTALL if first else helmfile.UPGRADE
    line = helmfile.command(settings.ENV, settings.KUBE_CONTEXT, action, own=settings.VALUES)
    out.print(f"           {helmfile.shown(line, env)}", markup=False, soft_wrap=True)
    log = state_folder.logs() / "helmfile.log"
    limit = settings.UP_TIMEOUT_MINUTES * 60
    early_end = EarlyEnd(before, settings.KUBE_CONTEXT)

    def watch() -> None:
        observed = snapshot(cluster)
        progress.show(observed)
        early_end.check(observed)

    try:
        with ReleaseProgress(out) as progress:
            helmfile.run(line, env, log, limit=limit, watch=watch)
    except Problem:
        show_failure(cluster, out)
        raise


def show_failure(cluster: KubeApi, out: Console) -> None:
    """Print the newest warning events, the resources that are not ready, and the log's end of each such pod."""
    observed = snapshot(cluster)
    if observed is None:
        out.print("the cluster's API does not answer")
        return
    for event in last_warnings(observed.events.values(), _SHOWN_EVENTS):
        out.print(f"event  {event.about}: {event}", markup=False, soft_wrap=True)
    for line in custom_resources.unready_lines(observed.resources):
        out.print(f"state  {line}", markup=False, soft_wrap=True)
    for pod in observed.pods:
        if pod.is_ready:
            continue
        out.print(f"pod    {pod.name}: {pod.reason}", markup=False, soft_wrap=True)
        for line in cluster.last_log(pod.name, _SHOWN_LOG_LINES):
            out.print(f"       {shortened(line, _LOG_WIDTH)}", markup=False, soft_wrap=True)
