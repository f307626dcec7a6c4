"""The operators' resources: which are not ready and why, and which end an installation before its timeout."""

from collections.abc import Iterable
from typing import Any

import pytest

from ops.common.errors import Problem
from ops.kubernetes.custom_resources import CustomResource, custom_resource, read, unready_lines
from ops.kubernetes.early_end import EarlyEnd
from ops.kubernetes.helm import Revision
from ops.kubernetes.kube_api import Forbidden
from ops.kubernetes.release_progress import ClusterSnapshot, troubles

REJECTED = "Kafka version 9.9.9 is not supported. Supported versions are: 4.1.0."


def condition(kind: str, reason: str = "", message: str = "", status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def strimzi(kind: str, *conditions: dict[str, str], name: str = "crypto", generation: int = 1) -> dict[str, Any]:
    meta = {"name": name, "generation": generation, "annotations": {"meta.helm.sh/release-name": "kafka"}}
    status = {"conditions": list(conditions), "observedGeneration": 1} if conditions else {}
    return {"kind": kind, "metadata": meta, "status": status}


def spark(state: str, error: str = "") -> dict[str, Any]:
    meta = {"name": "spark-candles", "annotations": {"meta.helm.sh/release-name": "spark-candles"}}
    status = {"applicationState": {"state": state, "errorMessage": error}} if state else {}
    return {"kind": "SparkApplication", "metadata": meta, "status": status}


CREATING = strimzi("Kafka", condition("NotReady", "Creating", "Kafka cluster is being deployed"))
del CREATING["status"]["observedGeneration"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (strimzi("Kafka", condition("Ready")), ""),
        (strimzi("Kafka", condition("Warning", "DeprecatedFields", "m"), condition("Ready")), ""),
        (strimzi("Kafka"), "its operator has not reconciled it yet"),
        (CREATING, "Kafka cluster is being deployed"),
        (strimzi("Kafka", condition("Ready"), generation=2), "its operator has not reconciled it yet"),
        (strimzi("Kafka", condition("NotReady", "TimeoutException", "30 s")), "TimeoutException: 30 s"),
        (strimzi("Kafka", condition("ReconciliationPaused")), "ReconciliationPaused"),
        (strimzi("KafkaTopic", condition("Ready", "KafkaError", "m", status="False")), "KafkaError: m"),
        (strimzi("KafkaUser", condition("Ready")), ""),
        (strimzi("StrimziPodSet"), ""),
        (strimzi("StrimziPodSet", condition("Error", "KubernetesClientException", "quota", "true")),
         "KubernetesClientException: quota"),
        (spark("RUNNING"), ""),
        (spark(""), "its operator has not reconciled it yet"),
        (spark("SUBMISSION_FAILED", "failed to run\nspark-submit"), "SUBMISSION_FAILED: failed to run spark-submit"),
    ],
)  # fmt: skip
def test_why_a_resource_is_not_ready(item: dict[str, Any], reason: str) -> None:
    found = custom_resource(item)
    assert found.reason == reason
    assert not found.is_final


@pytest.mark.parametrize(
    "item",
    [
        strimzi("Kafka", condition("NotReady", "InvalidResourceException", REJECTED)),
        strimzi("Kafka", condition("NotReady", "KafkaUpgradeException", "the metadata version is too high")),
        strimzi("Kafka", condition("NotReady", "UnsupportedKafkaVersionException", "Unsupported version: 4.1.0")),
        strimzi("KafkaTopic", condition("Ready", "NotSupported", "Decreasing partitions not supported", "False")),
        strimzi("KafkaUser", condition("NotReady", "ExecutionException", "a.b.InvalidResourceException: ACLs")),
        spark("FAILED", "driver container failed with ExitCode: 1"),
        spark("COMPLETED"),
    ],
    ids=lambda item: item["kind"],
)
def test_a_rejected_specification_is_final(item: dict[str, Any]) -> None:
    assert custom_resource(item).is_final


@pytest.mark.parametrize(
    "item",
    [
        strimzi("Kafka", condition("NotReady", "TimeoutException", "Pod crypto-dual-0 is not ready")),
        strimzi("Kafka", condition("NotReady", "FatalProblem", "Pod crypto-dual-0 is unschedulable")),
        strimzi("Kafka", condition("NotReady", "InvalidConfigurationException",
                                   "No KafkaNodePools found for Kafka cluster crypto")),
        strimzi("Kafka", condition("NotReady", "InvalidConfigurationException", "Secret tls not found")),
        strimzi("Kafka", condition("NotReady", "InvalidResourceException", REJECTED), generation=2),
        strimzi("KafkaTopic", condition("Ready", "KafkaError", "larger than available brokers: 1", "False")),
        strimzi("KafkaUser", condition("NotReady", "ExecutionException",
                                       "a.InvalidResourceException: Secret consumer does not exist.")),
        spark("SUBMISSION_FAILED", "the webhook does not answer"),
        spark("FAILING", "driver container failed with ExitCode: 1"),
        spark("PENDING_RERUN"),
    ],
)  # fmt: skip
def test_what_the_operator_retries_is_not_final(item: dict[str, Any]) -> None:
    found = custom_resource(item)
    assert not found.is_ready
    assert not found.is_final


def test_resources_that_wait_for_the_same_reason_share_a_line() -> None:
    users = [custom_resource(strimzi("KafkaUser", name=name)) for name in ("admin", "producer")]
    kafka = custom_resource(strimzi("Kafka", condition("NotReady", "TimeoutException", "30 s")))
    waiting = "KafkaUser admin, producer: its operator has not reconciled it yet"
    lines = ["Kafka crypto: TimeoutException: 30 s", waiting]
    assert unready_lines([kafka, *users]) == lines
    assert troubles(ClusterSnapshot(resources=[kafka, *users])) == lines


class Cluster:
    """A stub of the API that serves ``items`` by plural kind; of a ``forbidden`` kind none may be read."""

    def __init__(self, groups: Iterable[str] = (), forbidden: str = "", **items: list[dict[str, Any]]) -> None:
        self.groups = groups
        self.forbidden = forbidden
        self.objects = items
        self.calls: list[str] = []

    def get(self, path: str) -> Any:
        self.calls.append(path)
        served = ({"name": name, "preferredVersion": {"groupVersion": f"{name}/v1"}} for name in self.groups)
        return {"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}, *served]}

    def items(self, kind: str, group: str) -> list[dict[str, Any]]:
        self.calls.append(f"{group}/{kind}")
        if kind == self.forbidden:
            raise Forbidden(f"{kind} may not be read", "403", "")
        if kind not in self.objects:
            raise LookupError(kind)
        return self.objects[kind]


def test_a_cluster_without_operators_is_asked_once() -> None:
    cluster: Any = Cluster()
    assert read(cluster) == []
    assert cluster.calls == ["/apis"]


def test_missing_and_forbidden_kinds_have_no_resources() -> None:
    items = {"kafkas": [strimzi("Kafka")], "sparkapplications": [spark("RUNNING")]}
    cluster: Any = Cluster(["kafka.strimzi.io", "sparkoperator.k8s.io"], forbidden="sparkapplications", **items)
    assert [one.kind for one in read(cluster)] == ["Kafka"]
    assert "apis/kafka.strimzi.io/v1/kafkatopics" in cluster.calls
    assert not [call for call in cluster.calls if "strimzipodsets" in call]


REFUSED = custom_resource(strimzi("Kafka", condition("NotReady", "InvalidResourceException", REJECTED)))
FIRST = {"kafka": Revision("kafka", 1, "deployed")}


def checked(*snapshots: ClusterSnapshot | None, before: dict[str, Revision] | None = None) -> None:
    """Check the snapshots, six seconds apart."""
    now = 0.0
    early_end = EarlyEnd(before or {}, "kind-x", clock=lambda: now)
    for observed in snapshots:
        early_end.check(observed)
        now += 6


def deployed(*resources: CustomResource, **releases: Revision) -> ClusterSnapshot:
    return ClusterSnapshot(releases or FIRST, resources=list(resources))


def test_a_rejected_resource_ends_the_installation_after_ten_seconds() -> None:
    checked(deployed(REFUSED), deployed(REFUSED))
    hint = "kubectl --context kind-x --namespace crypto-analytics describe Kafka/crypto; .*then make up again$"
    with pytest.raises(Problem, match=f"^Kafka crypto cannot become ready: Invalid.* Kafka version 9.* {hint}"):
        checked(*[deployed(REFUSED)] * 3)


def test_a_state_that_changes_or_is_unknown_ends_nothing() -> None:
    ready = custom_resource(strimzi("Kafka", condition("Ready")))
    transient = custom_resource(strimzi("Kafka", condition("NotReady", "TimeoutException", "30 s")))
    checked(deployed(REFUSED), deployed(REFUSED), deployed(ready), deployed(REFUSED), deployed(REFUSED))
    checked(*[deployed(transient)] * 9)
    checked(*[None] * 9)


def test_the_state_before_a_release_is_deployed_again_ends_nothing() -> None:
    pending = deployed(REFUSED, kafka=Revision("kafka", 2, "pending-upgrade"))
    checked(*[deployed(REFUSED)] * 9, before=FIRST)
    checked(*[pending] * 9, before=FIRST)
    with pytest.raises(Problem, match="cannot become ready"):
        checked(pending, *[deployed(REFUSED, kafka=Revision("kafka", 2, "deployed"))] * 3, before=FIRST)
