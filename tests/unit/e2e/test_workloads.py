"""The end-to-end tests recognize a rolled-out component by each kind of owner; the owners are stand-ins."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.workloads import Workloads, component, is_reported_ready
from tests.unit.e2e.stand_ins import (
    NAME,
    RUNNING,
    FakeApi,
    Object,
    deployment,
    job_pod,
    pod,
    spark_application,
    stateful_set,
    strimzi_pod_set,
)

PLAIN = ("deployments", "statefulsets")
STRIMZI = ("strimzipodsets.core.strimzi.io",)
SPARK = ("sparkapplications.sparkoperator.k8s.io",)
Change = Callable[[list[Object]], Any]


def settled(objects: list[Object], name: str, kinds: tuple[str, ...]) -> bool:
    return Workloads(FakeApi(objects).read).is_settled(name, kinds)


@pytest.mark.parametrize(
    ("objects", "name", "kinds"),
    [
        (deployment("producer"), "producer", PLAIN),
        (deployment("consumer", replicas=3), "consumer", PLAIN),
        (stateful_set("kafka"), "kafka", PLAIN),
        (strimzi_pod_set(), "kafka", STRIMZI),
        (strimzi_pod_set(brokers=3), "kafka", STRIMZI),
        (spark_application(), "spark-candles", SPARK),
    ],
)
def test_a_component_is_settled_when_its_owner_has_all_its_pods(
    objects: list[Object], name: str, kinds: tuple[str, ...]
) -> None:
    assert settled([*objects, job_pod(name), *deployment("other")], name, kinds)
    for missing in objects:
        left = [one for one in objects if one is not missing]
        assert not settled(left, name, kinds), f"without {missing['metadata']['name']}"
    for changed in (one for one in objects if one["kind"] == "Pod"):
        changed["metadata"]["deletionTimestamp"] = "2026-01-05T00:00:00Z"
        assert not settled(objects, name, kinds), f"{changed['metadata']['name']} is being deleted"
        del changed["metadata"]["deletionTimestamp"]
        changed["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        assert not settled(objects, name, kinds), f"{changed['metadata']['name']} is not ready"
        changed["status"]["conditions"] = [{"type": "Ready", "status": "True"}]


def test_a_pod_that_the_owner_does_not_want_any_more_is_not_settled() -> None:
    objects = deployment("consumer")
    assert not settled([*objects, pod("consumer-0-x", "consumer", {"kind": "ReplicaSet", "metadata": {"uid": "old"}})],
                       "consumer", PLAIN)  # fmt: skip


def _generation(objects: list[Object]) -> None:
    objects[0]["metadata"]["generation"] += 1


def _status(**fields: Any) -> Change:
    return lambda objects: objects[0]["status"].update(fields)


@pytest.mark.parametrize("change", [_generation, _status(readyPods=0), _status(currentPods=0), _status(readyPods=None)])
def test_a_pod_set_that_the_operator_has_not_finished_is_not_settled(change: Change) -> None:
    objects = strimzi_pod_set()
    change(objects)
    assert not settled(objects, "kafka", STRIMZI)


def _image(objects: list[Object]) -> None:
    objects[0]["spec"]["image"] = "spark:2"


def _symbols(objects: list[Object]) -> None:
    objects[0]["spec"]["driver"]["template"]["spec"]["containers"][0]["env"][0] = {
        "name": "SYMBOLS",
        "value": "ETHUSDT",
    }


def _executors_of_another_driver(objects: list[Object]) -> None:
    objects[2]["metadata"]["ownerReferences"][0]["uid"] = "uid-of-the-old-driver"


@pytest.mark.parametrize(
    "change",
    [
        _image,
        _symbols,
        _executors_of_another_driver,
        *(_status(applicationState={"state": state}) for state in ("SUBMITTED", "INVALIDATING", "PENDING_RERUN", "")),
    ],
)
def test_an_application_whose_driver_is_not_the_defined_one_is_not_settled(change: Change) -> None:
    objects = spark_application()
    change(objects)
    assert not settled(objects, "spark-candles", SPARK)


def test_the_driver_is_the_component_and_its_executors_use_memory_too() -> None:
    workloads = Workloads(FakeApi([*spark_application(executors=3), job_pod("spark-candles")]).read)
    assert [one["metadata"]["name"] for one in workloads.pods("spark-candles")] == ["spark-candles-driver"]
    assert workloads.instances("spark-candles") == {"containerd://spark-candles-driver"}
    assert len(workloads.members("spark-candles")) == 4
    assert len(workloads.pods()) == 4


def test_pods_that_do_not_keep_running_belong_to_no_component() -> None:
    step = pod("dbt-silver", "batch")  # Airflow creates it; it has no owner
    workloads = Workloads(FakeApi([*stateful_set("kafka"), job_pod("kafka"), step]).read)
    assert [one["metadata"]["name"] for one in workloads.pods()] == ["kafka-0"]


def test_strimzis_operator_is_found_without_a_name_label() -> None:
    operator = pod("strimzi-cluster-operator-1-x", "")
    operator["metadata"]["labels"] = {"name": "strimzi-cluster-operator", "strimzi.io/kind": "cluster-operator"}
    assert component(operator) == "strimzi-operator"
    (owner, _) = deployment("any")
    owner["spec"]["template"]["metadata"]["labels"] = operator["metadata"]["labels"]
    assert component(owner) == "strimzi-operator"
    assert (
        component({"kind": "StrimziPodSet", "metadata": {"labels": {NAME: "kafka"}}, "spec": {"pods": []}}) == "kafka"
    )


def reported(kind: str, observed: int, condition: str) -> Object:
    status = {"observedGeneration": observed, "conditions": [{"type": condition, "status": "True"}]}
    return {"kind": kind, "metadata": {"generation": 2}, "status": status}


@pytest.mark.parametrize(
    ("resource", "ready"),
    [
        (reported("Kafka", 2, "Ready"), True),
        (reported("Kafka", 1, "Ready"), False),
        (reported("KafkaUser", 2, "NotReady"), False),
        ({"kind": "KafkaTopic", "metadata": {"generation": 2}}, False),
        ({"kind": "SparkApplication", "status": {"applicationState": {"state": RUNNING}}}, True),
        ({"kind": "SparkApplication", "status": {"applicationState": {"state": "FAILING"}}}, False),
    ],
)
def test_an_operators_report_is_read_from_its_resource(resource: Object, ready: bool) -> None:
    assert is_reported_ready(resource) is ready
