"""Openings of network policies: allowed peers other than named pods, as rendered and as expected."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import yaml

from tests.charts.optional_values import merged
from tests.charts.rendering import Object, environment, of_kind
from tests.servers import ROOT

ANYBODY: Mapping[str, Any] = {}
# The labels that identify pods; a selector without any of them may select all pods.
_NAMES = {"app.kubernetes.io/name", "strimzi.io/name"}
_PUBLIC = (
    {
        "cidr": "0.0.0.0/0",
        "except": ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
    },
    {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]},
)
_DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
_MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
_KUBERNETES_API = (443, 6443)
# Ports of metrics that are not the services' 8000.
_METRICS = {"kafka": 9404, "strimzi-cluster-operator": 8080, "spark-operator": 8080, "simulator": 8899}


class Opening(NamedTuple):
    """One peer and one port of a policy, both as JSON; ``{}`` is any peer, or any port."""

    policy: str
    direction: str
    peer: str
    port: str


def of(policy: str, direction: str, peer: Mapping[str, Any], ports: Iterable[Mapping[str, Any]]) -> set[Opening]:
    """Return the openings of one peer for several ports."""
    return {Opening(policy, direction, _text(peer), _text(port)) for port in ports}


def tcp(ports: Iterable[int]) -> list[Mapping[str, Any]]:
    """Return ports in the form of a policy."""
    return [{"port": port, "protocol": "TCP"} for port in ports]


def stated(name: str, values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """Return the values of an environment or situation from the environment's files, overwritten by ``values``."""
    name, _, variant = name.partition(" ")
    base, own = (yaml.safe_load((ROOT / f"environments/{file}.yaml").read_text()) for file in ("base", name))
    return merged(base, own, {"variant": variant} if variant else {}, values or {})


def found(objects: tuple[Object, ...]) -> set[Opening]:
    """Return all openings: rules without peers, addresses, other namespaces, and selectors that identify no pod."""
    every = set()
    for policy in of_kind(objects, "NetworkPolicy"):
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                every |= _unnamed(policy["metadata"]["name"], direction, rule.get(peers), rule.get("ports") or [{}])
    for kafka in of_kind(objects, "Kafka"):
        for listener in kafka["spec"]["kafka"]["listeners"]:
            every |= _unnamed("kafka", "ingress", listener.get("networkPolicyPeers"), tcp([listener["port"]]))
    return every


def wanted(name: str, objects: tuple[Object, ...], overwritten: Mapping[str, Any] | None = None) -> set[Opening]:
    """Return the expected openings of the environment or situation ``name``, whose objects are ``objects``."""
    values = stated(name, overwritten)
    dns = of("allow-dns", "egress", _DNS, [{"port": 53, "protocol": one} for one in ("UDP", "TCP")])
    openings = _exposed(objects) | _monitored(objects) | _strimzi(values) | _spark(values)
    openings |= _airflow(values) | _alerts(values)
    return dns | openings | _outside(values, objects)


def _exposed(objects: tuple[Object, ...]) -> set[Opening]:
    every = set()
    for service in of_kind(objects, "Service"):
        if service["spec"].get("type") == "NodePort":
            ports = tcp(port["port"] for port in service["spec"]["ports"])
            every |= of(service["spec"]["selector"]["app.kubernetes.io/name"], "ingress", ANYBODY, ports)
    return every


def _monitored(objects: tuple[Object, ...]) -> set[Opening]:
    """Strimzi's operator itself opens the metrics ports of the pods that it creates."""
    strimzi = {"kafka", "crypto-entity-operator"} if of_kind(objects, "Kafka") else set()
    names = {one["metadata"]["name"] for one in of_kind(objects, "PodMonitor")} - strimzi
    openings = [of(name, "ingress", _MONITORING, tcp([_METRICS.get(name, 8000)])) for name in names]
    return set().union(*openings)


def _strimzi(values: Mapping[str, Any]) -> set[Opening]:
    """Prometheus scrapes the operator; operators and brokers call the Kubernetes API, which no label selects."""
    if values["kafka"]["mode"] != "strimzi":
        return set()
    asking = ("strimzi-cluster-operator", "crypto-entity-operator-egress", "crypto-brokers")
    every = {opening for policy in asking for opening in of(policy, "egress", ANYBODY, tcp(_KUBERNETES_API))}
    if values["monitoring"]["enabled"]:  # the operator's pod has no other label
        operator = {"podSelector": {"matchLabels": {"strimzi.io/kind": "cluster-operator"}}}
        every |= of("prometheus-by-labels", "egress", operator, tcp([8080]))
    return every | (of("kafka", "ingress", ANYBODY, tcp([9094])) if values["expose"]["enabled"] else set())


def _spark(values: Mapping[str, Any]) -> set[Opening]:
    """The operator and the driver call the Kubernetes API, and it calls the operator's webhook."""
    if values["variant"] == "python" or values["spark"]["mode"] != "operator":
        return set()
    asking = ("spark-operator", "spark-candles")
    every = {opening for policy in asking for opening in of(policy, "egress", ANYBODY, tcp(_KUBERNETES_API))}
    return every | of("spark-operator", "ingress", ANYBODY, tcp([9443]))


def _airflow(values: Mapping[str, Any]) -> set[Opening]:
    """The scheduler calls the Kubernetes API for the steps' pods, and a webhook outside of the cluster, if any."""
    every = of("airflow", "egress", ANYBODY, tcp(_KUBERNETES_API))
    for port in values["releases"].get("airflow", {}).get("networkPolicy", {}).get("egressInternet", []):
        for block in _PUBLIC:
            every |= of("airflow", "egress", {"ipBlock": block}, tcp([port]))
    return every


def _alerts(values: Mapping[str, Any]) -> set[Opening]:
    """Alertmanager's receiver outside of the cluster, if any."""
    if not values["monitoring"]["enabled"]:
        return set()
    ports = values["releases"].get("monitoring", {}).get("alertmanager", {}).get("egressInternet", [])
    openings = [of("alertmanager", "egress", {"ipBlock": block}, tcp(ports)) for block in _PUBLIC]
    return set().union(*openings)


def _outside(values: Mapping[str, Any], objects: tuple[Object, ...]) -> set[Opening]:
    """The exchange for its clients, and stores outside of the cluster for the clients of those inside."""
    every = set()
    if values["feed"] == "binance":
        for policy in ("producer", "batch"):
            for block in _PUBLIC:
                every |= of(policy, "egress", {"ipBlock": block}, tcp(values["binancePorts"]))
    here = {one["metadata"]["name"] for one in of_kind(objects, "NetworkPolicy")}
    outside = {
        "postgres": (values["postgres"], not values["postgres"]["installed"]),
        "minio": (values["objectStore"], values["objectStore"]["server"] == "external"),
    }
    for store, (place, is_outside) in outside.items():
        for policy in _callers(store) & here if is_outside else ():
            for cidr in place["cidrs"]:
                every |= of(policy, "egress", {"ipBlock": {"cidr": cidr}}, tcp([place["port"]]))
    return every


def _callers(store: str) -> set[str]:
    """Return the policies that allow access to the store inside the cluster, as in the default environment."""
    peer = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": store}}}
    return {
        policy["metadata"]["name"]
        for policy in of_kind(environment("lite"), "NetworkPolicy")
        + of_kind(environment("default both"), "NetworkPolicy")
        if any(peer in rule.get("to", []) for rule in policy["spec"].get("egress", []))
    } - {"prometheus"}  # it scrapes only the servers of the cluster


def _unnamed(
    policy: str, direction: str, peers: Iterable[Mapping[str, Any]] | None, ports: Iterable[Mapping[str, Any]]
) -> set[Opening]:
    openings = [of(policy, direction, peer, ports) for peer in peers or [ANYBODY] if not _is_named(peer)]
    return set().union(*openings)


def _is_named(peer: Mapping[str, Any]) -> bool:
    return set(peer) == {"podSelector"} and bool(_NAMES & set(peer["podSelector"].get("matchLabels", {})))


def _text(part: Mapping[str, Any]) -> str:
    return json.dumps(part, sort_keys=True)
