"""Connections between pods by name, as the network policies of both ends allow them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.charts.rendering import Object, of_kind, pods

NAME = "app.kubernetes.io/name"


class Edge(NamedTuple):
    """A pod may connect to a port of another one; pods are identified by their name label."""

    source: str
    target: str
    port: int


def names(objects: tuple[Object, ...]) -> set[str]:
    """Return the names of all pods."""
    found = {pod["metadata"]["labels"][NAME] for _, pod in pods(objects)}
    found |= {"kafka"} if of_kind(objects, "Kafka") else set()  # also the label of Strimzi's brokers
    return found | ({"spark-operator"} if of_kind(objects, "SparkApplication") else set())  # of an upstream chart


def own_policies(objects: tuple[Object, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the policies of single pods: the pods' name and the policy's spec."""
    for policy in of_kind(objects, "NetworkPolicy"):
        labels = policy["spec"]["podSelector"].get("matchLabels", {})
        if NAME in labels:
            yield labels[NAME], policy["spec"]


def edges(objects: tuple[Object, ...], direction: str, peers: str) -> set[Edge]:
    """Return the connections between named pods that the rules of one direction allow; ``peers`` is its field."""
    found = set()
    for own, spec in own_policies(objects):
        for rule in spec.get(direction, []):
            for peer in rule.get(peers, []):
                other = peer.get("podSelector", {}).get("matchLabels", {}).get(NAME)
                for port in rule["ports"] if other else ():
                    ends = (own, other) if direction == "egress" else (other, own)
                    found.add(Edge(*ends, port["port"]))
    return found


def admitted(objects: tuple[Object, ...]) -> set[Edge]:
    """Return the connections that the targets' policies allow; a Kafka resource names the peers of its listener."""
    found = edges(objects, "ingress", "from")
    for kafka in of_kind(objects, "Kafka"):
        for listener in kafka["spec"]["kafka"]["listeners"]:
            for peer in listener.get("networkPolicyPeers", []):
                found.add(Edge(peer["podSelector"]["matchLabels"][NAME], "kafka", listener["port"]))
    return found


def problems(objects: tuple[Object, ...]) -> list[str]:
    """Return the connections that lead to no pod, or that only one of both ends allows."""
    here, called, accepted = names(objects), edges(objects, "egress", "to"), admitted(objects)
    absent = [f"{edge} has no target" for edge in called if edge.target not in here]
    refused = [f"{edge} is not admitted by its target" for edge in called - accepted]
    forbidden = [f"{edge} is not allowed by its source" for edge in accepted - called if edge.source in here]
    return sorted(absent + refused + forbidden)
