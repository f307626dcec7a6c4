"""Objects as an API server returns them, with the fields that the end-to-end tests read: both kinds of environment."""

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]

NAME = "app.kubernetes.io/name"
RUNNING = "RUNNING"


class FakeApi:
    """An API server that returns objects by their kind in its plural form."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self.objects = list(objects)

    def read(self, kind: str) -> list[Object]:
        """Return the objects of a kind, with or without its API group."""
        plural = kind.partition(".")[0]
        return [one for one in self.objects if f"{one['kind'].lower()}s" == plural]


def pod(name: str, component: str, owner: Object | None = None, *, ready: bool = True, **spec: Any) -> Object:
    """Return a running pod of one container named ``it``."""
    references = [{"kind": owner["kind"], "uid": owner["metadata"]["uid"]}] if owner else []
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {NAME: component}, "ownerReferences": references},
        "spec": {"containers": [{"name": "it", "image": "image:1", "env": []}], **spec},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "it", "ready": ready, "containerID": f"containerd://{name}"}],
        },
    }


def deployment(name: str, replicas: int = 1, env: dict[str, str] | None = None) -> list[Object]:
    """Return a rolled-out Deployment, its ReplicaSet's pods, and nothing of the ReplicaSet."""
    container = {
        "name": name,
        "image": "image:1",
        "env": [{"name": key, "value": its} for key, its in (env or {}).items()],
    }
    owner = {
        "kind": "Deployment",
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 2, "labels": {NAME: name}},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {NAME: name}}, "spec": {"containers": [container]}},
        },
        "status": {"observedGeneration": 2, "readyReplicas": replicas, "updatedReplicas": replicas},
    }
    replica_set = {"kind": "ReplicaSet", "metadata": {"uid": f"uid-{name}-1"}}
    return [owner, *(pod(f"{name}-1-{number}", name, replica_set) for number in range(replicas))]


def stateful_set(name: str) -> list[Object]:
    """Return a StatefulSet of one pod, as the API returns one whose revisions are equal, and the pod."""
    (owner, _) = deployment(name)
    owner |= {"kind": "StatefulSet", "status": {"observedGeneration": 2, "readyReplicas": 1}}
    return [owner, pod(f"{name}-0", name, owner)]


def strimzi_pod_set(brokers: int = 1) -> list[Object]:
    """Return the StrimziPodSet of a node pool, and its brokers."""
    names = [f"crypto-dual-{number}" for number in range(brokers)]
    owner = {
        "kind": "StrimziPodSet",
        "metadata": {"name": "crypto-dual", "uid": "uid-set", "generation": 3, "labels": {NAME: "kafka"}},
        "spec": {"pods": [{"metadata": {"name": name}} for name in names], "selector": {}},
        "status": {"observedGeneration": 3, "pods": brokers, "currentPods": brokers, "readyPods": brokers},
    }
    return [owner, *(pod(name, "kafka", owner) for name in names)]


def spark_application(executors: int = 2, symbols: str = "BTCUSDT") -> list[Object]:
    """Return a running SparkApplication, its driver, and the driver's executors."""
    env = [{"name": "SYMBOLS", "value": symbols}]
    owner = {
        "kind": "SparkApplication",
        "metadata": {"name": "spark-candles", "uid": "uid-spark", "generation": 1, "labels": {NAME: "spark-candles"}},
        "spec": {
            "image": "spark:1",
            "driver": {"template": {"spec": {"containers": [{"name": "spark-kubernetes-driver", "env": env}]}}},
            "executor": {"instances": executors},
        },
        "status": {"applicationState": {"state": RUNNING}},
    }
    # Spark adds variables of its own.
    containers = [{"name": "it", "image": "spark:1", "env": [*env, {"name": "SPARK_USER", "value": "spark"}]}]
    driver = pod("spark-candles-driver", "spark-candles", owner, containers=containers)
    made = [
        pod(f"candles-exec-{number}", "spark-candles-executor", driver, containers=containers)
        for number in range(executors)
    ]
    return [owner, driver, *made]


def producer(ws_url: str, rest_url: str) -> list[Object]:
    """Return the producer that follows an exchange."""
    return deployment("producer", env={"BINANCE_WS_URL": ws_url, "BINANCE_REST_URL": rest_url})


def job_pod(component: str) -> Object:
    """Return the pod of a finished job."""
    return pod(f"{component}-x", component, {"kind": "Job", "metadata": {"uid": "uid-job"}}, ready=False)
