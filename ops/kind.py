"""The kind cluster on this machine: made from kind-config.yaml, kept, started again, or mended when half made.

The node container itself says how far its making got: once the cluster is whole, a file is left in it. So a cluster
without that file that does not answer was never used and is made anew, and one that has it is never thrown away.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from embedded.problems import Problem
from ops.programs import run, succeeds
from ops.settings import CLUSTER, KIND_CONTEXT, ROOT, STATE

CONFIG = ROOT / "kind-config.yaml"
NODE = f"{CLUSTER}-control-plane"
_WHOLE = "/etc/crypto-analytics-whole"
_ANSWER_SECONDS = 180.0
_MAKE_SECONDS = 480.0
_PAUSE = 1.0


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
    names = run("docker", "ps", "--all", "--filter", f"name=^{NODE}$", "--format", "{{.Names}}", mend="make doctor")
    if NODE not in names.split():
        return None
    return parse_node(json.loads(run("docker", "inspect", NODE, mend="make doctor")))


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


def ensure(ports: Mapping[int, int], tell: Callable[[str], None]) -> Action:
    """Make sure that the cluster is up and answers, and return what had to be done first.

    ``ports`` ({NodePort: port of the machine}) are used if the cluster is made. A half-made cluster is made anew.

    Raises:
        Problem: it cannot be made, or one that was in use does not come up.
    """
    found = node()
    action = next_action(found)
    if action is Action.START:
        tell(f"starting the stopped node container {NODE}")
        run("docker", "start", NODE, mend="docker logs " + NODE)
    if found is not None:
        if _answers(_ANSWER_SECONDS if is_whole() else _PAUSE) and _is_complete():
            _mark()
            return action
        if is_whole():
            raise Problem(
                "the cluster does not come up",
                f"its node {NODE} runs, but its API did not answer within {_ANSWER_SECONDS:.0f} s",
                f"docker logs {NODE}; to begin anew without its data: make down",
            )
        tell("removing a cluster whose making was interrupted")
        delete()
    _create(ports)
    return Action.CREATE


def _create(ports: Mapping[int, int]) -> None:
    STATE.mkdir(exist_ok=True)
    config = STATE / "kind-config.yaml"
    config.write_text(yaml.safe_dump(with_ports(load_config(), ports), sort_keys=False))
    wait = f"{_ANSWER_SECONDS:.0f}s"
    create = ("kind", "create", "cluster", "--name", CLUSTER, "--config", str(config), "--wait", wait)
    run(*create, mend=f"make up again; what the node says: docker logs {NODE}", timeout=_MAKE_SECONDS)
    if not (_answers(_ANSWER_SECONDS) and _is_complete()):
        raise Problem("the new cluster is not ready", f"{NODE} did not become Ready", "make up")
    _mark()


def is_whole() -> bool:
    """Whether the running cluster was once complete, and may hold data."""
    return succeeds("docker", "exec", NODE, "test", "-f", _WHOLE)


def _mark() -> None:
    if not is_whole():
        run("docker", "exec", NODE, "touch", _WHOLE, mend="make up")


def _answers(seconds: float) -> bool:
    """Whether the API answers and the node is Ready within ``seconds``; refreshes the kubeconfig first."""
    deadline = time.monotonic() + seconds
    while True:
        if succeeds("kind", "export", "kubeconfig", "--name", CLUSTER) and _get("--raw", "/readyz"):
            left = max(1, int(deadline - time.monotonic()))
            ready = ("wait", "node", "--all", "--for=condition=Ready", f"--timeout={left}s")
            return succeeds("kubectl", "--context", KIND_CONTEXT, *ready, timeout=left + 10)
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def _is_complete() -> bool:
    """Whether the last thing that kind installs, the StorageClass, is there."""
    return _get("storageclass", "standard")


def _get(*what: str) -> bool:
    return succeeds("kubectl", "--context", KIND_CONTEXT, "--request-timeout=5s", "get", *what)


def delete() -> None:
    """Remove the cluster with all that it holds."""
    run("kind", "delete", "cluster", "--name", CLUSTER, mend=f"docker rm -f -v {NODE}", timeout=120)
