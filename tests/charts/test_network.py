"""Every pod has its own policy, and every connection is allowed by the policies of both ends."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from tests.charts import connections, openings
from tests.charts.connections import NAME
from tests.charts.openings import ANYBODY, tcp
from tests.charts.rendering import SITUATIONS, environment, of_kind, pods

SPARK_OPERATOR = {"app.kubernetes.io/component"}  # a label that only Services for its pods select by


@pytest.mark.parametrize("name", SITUATIONS)
def test_all_is_denied_and_every_pod_has_a_policy(name: str) -> None:
    objects = environment(name)
    (deny,) = [one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "default-deny"]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    own_policies = connections.own_policies(objects)
    covered = {own for own, spec in own_policies if set(spec["policyTypes"]) == {"Ingress", "Egress"}}
    assert {pod["metadata"]["labels"][NAME] for _, pod in pods(objects)} <= covered


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_connection_is_allowed_by_the_policies_of_both_ends(name: str) -> None:
    assert connections.problems(environment(name)) == []


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_network_policies_allow_only_the_connections_of_the_environment(name: str) -> None:
    objects = environment(name)
    assert openings.found(objects) == openings.wanted(name, objects)


@pytest.mark.parametrize("name", SITUATIONS)
def test_ports_are_exposed_where_the_environment_says(name: str) -> None:
    values = openings.stated(name)
    exposed = {
        one.policy for one in openings.found(environment(name)) if one.direction == "ingress" and one.peer == "{}"
    }
    simulator = {"simulator"} if values["feed"] == "simulator" else set()
    spark = {"spark-candles"} if values["variant"] != "python" else set()
    exposed -= {"spark-operator"}  # the port of the API server, not of a pod
    assert exposed == (
        {"kafka", "postgres", "minio", "airflow", "superset", "api", "prometheus", "alertmanager"} | simulator | spark
        if values["expose"]["enabled"]
        else set()
    )


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({}, id="anybody on any port"),
        pytest.param({"ports": tcp([8000])}, id="anybody on one port"),
        pytest.param({"peers": [], "ports": tcp([8000])}, id="an empty list of peers"),
        pytest.param({"peers": [{"podSelector": {}}], "ports": tcp([8000])}, id="all pods"),
        pytest.param({"peers": [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "x"}}}]}, id="many pods"),
        pytest.param({"peers": [{"namespaceSelector": {}}], "ports": tcp([8000])}, id="all namespaces"),
        pytest.param(
            {"peers": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {NAME: "consumer"}}}]},
            id="such pods of all namespaces",
        ),
        pytest.param({"peers": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": tcp([8000])}, id="all addresses"),
    ],
)
def test_an_opening_that_nobody_asked_for_is_found(direction: str, rule: Mapping[str, Any]) -> None:
    objects = deepcopy(environment("lite"))
    (policy,) = [one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "consumer"]
    peers = {"ingress": "from", "egress": "to"}[direction]
    policy["spec"].setdefault(direction, []).append({peers if key == "peers" else key: rule[key] for key in rule})
    assert {one.policy for one in openings.found(objects) - openings.wanted("lite", objects)} == {"consumer"}


def test_a_listener_for_all_that_nobody_asked_for_is_found() -> None:
    objects = deepcopy(environment("production"))
    (kafka,) = of_kind(objects, "Kafka")
    del kafka["spec"]["kafka"]["listeners"][0]["networkPolicyPeers"]
    assert openings.found(objects) - openings.wanted("production", objects) == openings.of(
        "kafka", "ingress", ANYBODY, tcp([9092])
    )


def test_every_caller_that_is_named_exists_somewhere() -> None:
    everywhere = set().union(*(connections.names(environment(name)) for name in SITUATIONS))
    named = {edge.source for name in SITUATIONS for edge in connections.admitted(environment(name))}
    assert named <= everywhere


@pytest.mark.parametrize("name", SITUATIONS)
def test_names_can_be_resolved_by_all(name: str) -> None:
    (dns,) = [one for one in of_kind(environment(name), "NetworkPolicy") if one["metadata"]["name"] == "allow-dns"]
    assert dns["spec"]["podSelector"] == {}
    ports = [port for rule in dns["spec"]["egress"] for port in rule["ports"]]
    assert {(port["port"], port["protocol"]) for port in ports} == {(53, "UDP"), (53, "TCP")}


@pytest.mark.parametrize("name", SITUATIONS)
def test_services_lead_to_pods_that_listen(name: str) -> None:
    objects = environment(name)
    for service in of_kind(objects, "Service"):
        selector = service["spec"]["selector"].items()
        found = [pod for _, pod in pods(objects) if selector <= pod["metadata"]["labels"].items()]
        listening = [port for pod in found for one in pod["spec"]["containers"] for port in one.get("ports", [])]
        ports = {port[key] for port in listening for key in ("name", "containerPort")}
        if of_kind(objects, "SparkApplication"):
            ports.add("spark-ui")  # opened by Spark in its driver
        if not found and dict(selector).keys() & {"strimzi.io/cluster", "strimzi.io/kind", *SPARK_OPERATOR}:
            continue  # pods that operators create, and those of upstream charts
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, service["metadata"]["name"]


def test_a_connection_that_one_end_alone_allows_is_found() -> None:
    objects = deepcopy(environment("lite"))
    (policy,) = [one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "consumer"]
    peer = {"podSelector": {"matchLabels": {NAME: "producer"}}}
    policy["spec"]["egress"].append({"to": [peer], "ports": tcp([8000])})
    policy["spec"]["ingress"].append({"from": [peer], "ports": tcp([9999])})
    policy["spec"]["egress"].append({"to": [{"podSelector": {"matchLabels": {NAME: "gone"}}}], "ports": tcp([1])})
    found = connections.problems(objects)
    assert len(found) == 4
    assert [line for line in found if "no target" in line] != []
    assert [line for line in found if "not allowed by its source" in line] != []
