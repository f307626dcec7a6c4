"""The kind cluster on this machine: created from kind-config.yaml, started when stopped, recreated when incomplete.

A marker file in the node container records that the creation has completed. A cluster is recreated only if it certainly
holds no data: it has no marker file, and it also lacks what kind installs first or what kind installs last. In doubt
nothing is removed.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from ops.common.errors import Problem
from ops.common.external_programs import AIRGAP_HINT, run, succeeds
from ops.common.paths import ROOT, STATE
from ops.common.settings import CLUSTER, KIND_CONTEXT
from ops.platform import make_command

CONFIG = ROOT / "kind-config.yaml"
NODE = f"{CLUSTER}-control-plane"
_COMPLETE_MARKER = "/etc/crypto-analytics-whole"
_KUBECONFIG = "/etc/kubernetes/admin.conf"  # the first file that kind writes into a node
_ANSWER_SECONDS = 180.0
_LAST_RESOURCE_SECONDS = 30.0  # for the last resource that kind installs, once the API answers
_CREATE_SECONDS = 1200.0  # the first time kind also pulls its node image
_COPY_SECONDS = 60.0
_POLL_SECONDS = 1.0
_RECREATE = "make down YES=1"
AIRGAP_LABEL = "crypto-analytics.airgap.recipe"  # of what ops/airgap builds
_KUBECTL = ("kubectl", "--context", KIND_CONTEXT, "--request-timeout=5s", "get")


class Action(Enum):
    """The first step towards a running cluster."""

    CREATE = "create"
    KEEP = "keep"
    START = "start"


@dataclass(frozen=True)
class Node:
    """The node's container: its state as docker names it, and ``bound``, the port on 127.0.0.1 by NodePort."""

    state: str
    bound: Mapping[int, int]


def node() -> Node | None:
    """Return the node's container in any state; None if it does not exist."""
    names = run("docker", "ps", "--all", "--filter", f"name=^{NODE}$", "--format", "{{.Names}}", fix="make doctor")
    if NODE not in names.split():
        return None
    return parse_node(json.loads(run("docker", "inspect", NODE, fix="make doctor")))


def parse_node(inspected: Any) -> Node:
    """Return the node from the output of ``docker inspect``."""
    container = inspected[0]
    bindings = container["HostConfig"].get("PortBindings") or {}
    bound = {
        int(inside.partition("/")[0]): int(outside[0]["HostPort"])
        for inside, outside in bindings.items()
        if outside and outside[0].get("HostPort", "").isdigit()
    }
    return Node(container["State"]["Status"], bound)


def next_action(found: Node | None) -> Action:
    """Return the first step for the node that was found."""
    if found is None:
        return Action.CREATE
    return Action.KEEP if found.state == "running" else Action.START


def with_ports(config: Mapping[str, Any], ports: Mapping[int, int]) -> dict[str, Any]:
    """Return kind's configuration with the host ports of ``ports`` ({NodePort: host port}); other mappings are kept.

    Raises:
        Problem: a NodePort has no mapping in the configuration.
    """
    moved = json.loads(json.dumps(config))
    mappings = [mapping for entry in moved["nodes"] for mapping in entry.get("extraPortMappings", [])]
    unknown = set(ports) - {mapping["containerPort"] for mapping in mappings}
    if unknown:
        raise Problem(
            "kind-config.yaml lacks a port mapping",
            f"no host port is mapped to NodePort {sorted(unknown)[0]}",
            "add it under extraPortMappings",
        )
    for mapping in mappings:
        mapping["hostPort"] = ports.get(mapping["containerPort"], mapping["hostPort"])
    return dict(moved)


def load_config() -> dict[str, Any]:
    """Return kind-config.yaml."""
    return dict(yaml.safe_load(CONFIG.read_text()))


def ensure(ports: Mapping[int, int], report: Callable[[str], None]) -> Action:
    """Make sure that the cluster runs and its API answers; return the first step that was needed.

    ``ports`` ({NodePort: host port}) apply only when the cluster is created. An incomplete cluster is recreated; a
    complete one that was created by hand is used as it is.

    Raises:
        Problem: the cluster cannot be created, or one that may hold data does not start.
    """
    found = node()
    action = next_action(found)
    if found is not None:
        if _start_existing(action, report):
            return action
        report("removing an incomplete cluster")
        delete()
    _create(ports, report)
    return Action.CREATE


def _start_existing(action: Action, report: Callable[[str], None]) -> bool:
    """Start the existing cluster; return False if it is certainly incomplete, and so holds no data.

    Raises:
        Problem: the cluster does not start, or it is unknown whether it holds data.
    """
    whole = was_complete()
    if not whole and not _has_file(_KUBECONFIG):
        return False
    if action is Action.START:
        report(f"starting the stopped node container {NODE}")
        run("docker", "start", NODE, fix="docker logs " + NODE)
    deadline = time.monotonic() + _ANSWER_SECONDS
    if not _answers(deadline):
        raise _unavailable("its API did not answer")
    if not whole and not _is_complete():
        return False
    if not _is_ready(deadline):
        raise _unavailable("it did not become Ready")
    if not whole:
        _mark_complete()
    return True


def _unavailable(failure: str) -> Problem:
    found = node()
    state = found.state if found else "missing"
    cause = f"its node {NODE} is {state}, and {failure} within {_ANSWER_SECONDS:.0f} s; it may hold data"
    return Problem("the cluster does not start", cause, f"docker logs {NODE}; if its data may be deleted: {_RECREATE}")


def airgap_image() -> str:
    """Return the newest node image that `make airgap` has built on this machine; empty if there is none.

    Raises:
        Problem: docker does not report.
    """
    built = ("--filter", "reference=kindest/node", "--filter", f"label={AIRGAP_LABEL}")
    images = run("docker", "image", "ls", *built, "--format", "{{.Repository}}:{{.Tag}}", fix="make doctor").split()
    return images[0] if images else ""


def with_image(config: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return kind's configuration with ``image`` for the nodes that name none; an empty one leaves kind's default."""
    nodes = [({"image": image} if image else {}) | node for node in config["nodes"]]
    return {**config, "nodes": nodes}


def _create(ports: Mapping[int, int], report: Callable[[str], None]) -> None:
    STATE.mkdir(exist_ok=True)
    image = airgap_image()
    wanted = with_ports(with_image(load_config(), image), ports)
    named = sorted({node["image"] for node in wanted["nodes"] if "image" in node})
    report(f"creating it from {', '.join(named)}" if named else "creating it; the first time kind pulls its node image")
    config = STATE / "kind-config.yaml"
    config.write_text(yaml.safe_dump(wanted, sort_keys=False))
    wait = f"{_ANSWER_SECONDS:.0f}s"
    create = ("kind", "create", "cluster", "--name", CLUSTER, "--config", str(config), "--wait", wait)
    fix = f"{make_command.make_up()} again; the node's log: docker logs {NODE}; {AIRGAP_HINT}"
    run(*create, fix=fix, timeout=_CREATE_SECONDS)
    deadline = time.monotonic() + _ANSWER_SECONDS
    if not (_answers(deadline) and _is_complete() and _is_ready(deadline)):
        raise Problem("the new cluster is not ready", f"{NODE} did not become Ready", make_command.make_up())
    _mark_complete()


def was_complete() -> bool:
    """Return whether the cluster, running or not, was completed at some time and may hold data.

    Raises:
        Problem: docker does not report.
    """
    return _has_file(_COMPLETE_MARKER)


def _has_file(file: str) -> bool:
    """Return whether the node, running or not, has a file; False only if docker reports the file as missing."""
    try:
        fix = f"{make_command.make_up()} again; if the cluster's data may be deleted: {_RECREATE}"
        run("docker", "cp", f"{NODE}:{file}", "-", fix=fix, timeout=_COPY_SECONDS)
    except Problem as problem:
        message = str(problem).lower()
        missing = (f"could not find the file {file}", f"{file}: no such file", f"no such container:path: {NODE}:{file}")
        if any(words in message for words in missing):
            return False
        raise
    return True


def _mark_complete() -> None:
    run("docker", "exec", NODE, "touch", _COMPLETE_MARKER, fix=make_command.make_up())


def _answers(deadline: float) -> bool:
    """Wait until the API answers, with a new kubeconfig each time; return False at the deadline."""
    while not (succeeds("kind", "export", "kubeconfig", "--name", CLUSTER) and succeeds(*_KUBECTL, "--raw", "/readyz")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _is_ready(deadline: float) -> bool:
    """Wait until the node is Ready; return False at the deadline."""
    left = max(1, int(deadline - time.monotonic()))
    ready = ("wait", "node", "--all", "--for=condition=Ready", f"--timeout={left}s")
    return succeeds("kubectl", "--context", KIND_CONTEXT, *ready, timeout=left + 10)


def _is_complete() -> bool:
    """Wait for the StorageClass, which kind installs last, or any PersistentVolume; return False after a timeout.

    Raises:
        Problem: the API does not report.
    """
    deadline = time.monotonic() + _LAST_RESOURCE_SECONDS
    while not (_names("storageclass", "standard") or _names("persistentvolume")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _names(*what: str) -> str:
    return run(*_KUBECTL, *what, "--ignore-not-found", "--output=name", fix=make_command.make_up())


def delete() -> None:
    """Delete the cluster with all its data."""
    run("kind", "delete", "cluster", "--name", CLUSTER, fix=f"docker rm -f -v {NODE}", timeout=120)
