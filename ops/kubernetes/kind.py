"""The kind cluster on this machine: made from kind-config.yaml, kept, started again, or mended when half made.

The node container itself says how far its making got: once the cluster is whole, a file is left in it. A cluster is
only made anew where it certainly holds nothing: it lacks that file, and what kind installs first or last as well. Where
that cannot be told, nothing is removed.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from ops.common.commands import AIRGAP_HINT, path_of, run, succeeds
from ops.common.errors import Problem
from ops.common.paths import ROOT, STATE
from ops.common.settings import CLUSTER, KIND_CONTEXT
from ops.platform import make_command

CONFIG = ROOT / "kind-config.yaml"
NODE = f"{CLUSTER}-control-plane"
_WHOLE = "/etc/crypto-analytics-whole"
_KUBECONFIG = "/etc/kubernetes/admin.conf"  # the first that kind makes in a node
_ANSWER_SECONDS = 180.0
_FINISH_SECONDS = 30.0  # for the last that kind installs, in a cluster whose API answers
_MAKE_SECONDS = 480.0
_COPY_SECONDS = 60.0
_PAUSE = 1.0
_BEGIN_ANEW = "make down YES=1"
_KUBECTL = ("kubectl", "--context", KIND_CONTEXT, "--request-timeout=5s", "get")


class Action(Enum):
    """What has to be done to have a cluster."""

    CREATE = "create"
    KEEP = "keep"
    START = "start"


@dataclass(frozen=True)
class Node:
    """The node's container: its state in docker's words, and which ports of 127.0.0.1 lead to which NodePort."""

    state: str
    bound: Mapping[int, int]


def node() -> Node | None:
    """Return the node's container, running or not; None if there is none."""
    names = run("docker", "ps", "--all", "--filter", f"name=^{NODE}$", "--format", "{{.Names}}", fix="make doctor")
    if NODE not in names.split():
        return None
    return parse_node(json.loads(run("docker", "inspect", NODE, fix="make doctor")))


def parse_node(inspected: Any) -> Node:
    """Return the node from what ``docker inspect`` prints."""
    container = inspected[0]
    bindings = container["HostConfig"].get("PortBindings") or {}
    bound = {
        int(inside.partition("/")[0]): int(outside[0]["HostPort"])
        for inside, outside in bindings.items()
        if outside and outside[0].get("HostPort", "").isdigit()
    }
    return Node(container["State"]["Status"], bound)


def next_action(found: Node | None) -> Action:
    """Return what to do first with what is there."""
    if found is None:
        return Action.CREATE
    return Action.KEEP if found.state == "running" else Action.START


def with_ports(config: Mapping[str, Any], ports: Mapping[int, int]) -> dict[str, Any]:
    """Return kind's configuration with ``ports`` ({NodePort: port of the machine}) moved; other mappings stay.

    Raises:
        Problem: a NodePort has no mapping in the configuration.
    """
    moved = json.loads(json.dumps(config))
    mappings = [mapping for entry in moved["nodes"] for mapping in entry.get("extraPortMappings", [])]
    unknown = set(ports) - {mapping["containerPort"] for mapping in mappings}
    if unknown:
        raise Problem(
            "kind-config.yaml lacks a port mapping",
            f"nothing leads to NodePort {sorted(unknown)[0]}",
            "add it under extraPortMappings, as for the others",
        )
    for mapping in mappings:
        mapping["hostPort"] = ports.get(mapping["containerPort"], mapping["hostPort"])
    return dict(moved)


def load_config() -> dict[str, Any]:
    """Return kind-config.yaml."""
    return dict(yaml.safe_load(CONFIG.read_text()))


def ensure(ports: Mapping[int, int], report: Callable[[str], None]) -> Action:
    """Make sure that the cluster is up and answers, and return what had to be done first.

    ``ports`` ({NodePort: port of the machine}) are used if the cluster is made. One whose making was interrupted is
    made anew; one that was made by hand and is complete is taken over.

    Raises:
        Problem: it cannot be made, or one that may hold data does not come up.
    """
    found = node()
    action = next_action(found)
    if found is not None:
        if _comes_up(action, report):
            return action
        report("removing a cluster whose making was interrupted")
        delete()
    _create(ports, report)
    return Action.CREATE


def _comes_up(action: Action, report: Callable[[str], None]) -> bool:
    """Have the cluster that is there up; return False where its making certainly never ended.

    Raises:
        Problem: it does not come up, or it cannot be told whether it holds data.
    """
    whole = is_whole()
    if not whole and not _holds(_KUBECONFIG):
        return False
    if action is Action.START:
        report(f"starting the stopped node container {NODE}")
        run("docker", "start", NODE, fix="docker logs " + NODE)
    deadline = time.monotonic() + _ANSWER_SECONDS
    if not _answers(deadline):
        raise _away("its API did not answer")
    if not whole and not _is_complete():
        return False
    if not _is_ready(deadline):
        raise _away("it did not become Ready")
    if not whole:
        _mark()
    return True


def _away(failure: str) -> Problem:
    found = node()
    state = found.state if found else "gone"
    cause = f"its node {NODE} is {state}, and {failure} within {_ANSWER_SECONDS:.0f} s; it may hold data"
    return Problem("the cluster does not come up", cause, f"docker logs {NODE}; if its data may go: {_BEGIN_ANEW}")


def _have_image(image: str, report: Callable[[str], None]) -> None:
    """Pull the node's image where it is missing: kind would do so silently, inside its own time limit.

    Raises:
        Problem: it cannot be had.
    """
    if succeeds("docker", "image", "inspect", image):
        return
    report(f"pulling {image} (once)")
    if subprocess.run([path_of("docker"), "pull", image], check=False).returncode != 0:
        fix = f"docker pull {image}; {AIRGAP_HINT}"
        raise Problem("the node's image cannot be had", f"docker pull {image} failed, its message is above", fix)


def _create(ports: Mapping[int, int], report: Callable[[str], None]) -> None:
    STATE.mkdir(exist_ok=True)
    for image in sorted({entry["image"] for entry in load_config()["nodes"] if "image" in entry}):
        _have_image(image, report)
    config = STATE / "kind-config.yaml"
    config.write_text(yaml.safe_dump(with_ports(load_config(), ports), sort_keys=False))
    wait = f"{_ANSWER_SECONDS:.0f}s"
    create = ("kind", "create", "cluster", "--name", CLUSTER, "--config", str(config), "--wait", wait)
    run(*create, fix=f"{make_command.make_up()} again; what the node says: docker logs {NODE}", timeout=_MAKE_SECONDS)
    deadline = time.monotonic() + _ANSWER_SECONDS
    if not (_answers(deadline) and _is_complete() and _is_ready(deadline)):
        raise Problem("the new cluster is not ready", f"{NODE} did not become Ready", make_command.make_up())
    _mark()


def is_whole() -> bool:
    """Whether the cluster, running or not, was once complete, and may hold data.

    Raises:
        Problem: docker does not report.
    """
    return _holds(_WHOLE)


def _holds(file: str) -> bool:
    """Whether the node, running or not, has a file. Only docker's word that it is missing counts as no."""
    try:
        fix = f"{make_command.make_up()} again; if the cluster's data may go: {_BEGIN_ANEW}"
        run("docker", "cp", f"{NODE}:{file}", "-", fix=fix, timeout=_COPY_SECONDS)
    except Problem as problem:
        message = str(problem).lower()
        missing = (f"could not find the file {file}", f"{file}: no such file", f"no such container:path: {NODE}:{file}")
        if any(words in message for words in missing):
            return False
        raise
    return True


def _mark() -> None:
    run("docker", "exec", NODE, "touch", _WHOLE, fix=make_command.make_up())


def _answers(deadline: float) -> bool:
    """Whether the API answers before ``deadline``; refreshes the kubeconfig first."""
    while not (succeeds("kind", "export", "kubeconfig", "--name", CLUSTER) and succeeds(*_KUBECTL, "--raw", "/readyz")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _is_ready(deadline: float) -> bool:
    """Whether the node is Ready before ``deadline``."""
    left = max(1, int(deadline - time.monotonic()))
    ready = ("wait", "node", "--all", "--for=condition=Ready", f"--timeout={left}s")
    return succeeds("kubectl", "--context", KIND_CONTEXT, *ready, timeout=left + 10)


def _is_complete() -> bool:
    """Whether the last thing that kind installs, the StorageClass, is there, or anything that was stored.

    Raises:
        Problem: the API does not report.
    """
    deadline = time.monotonic() + _FINISH_SECONDS
    while not (_names("storageclass", "standard") or _names("persistentvolume")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _names(*what: str) -> str:
    return run(*_KUBECTL, *what, "--ignore-not-found", "--output=name", fix=make_command.make_up())


def delete() -> None:
    """Remove the cluster with all that it holds."""
    run("kind", "delete", "cluster", "--name", CLUSTER, fix=f"docker rm -f -v {NODE}", timeout=120)
