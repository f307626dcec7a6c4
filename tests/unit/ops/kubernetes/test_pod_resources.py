"""The requests of all pods, added up."""

from ops.kubernetes import pod_resources
from ops.kubernetes.pod_resources import KIND, OUTSIDE_OF_PODS, PodResources


def test_each_pod_counts() -> None:
    pods = {"broker": PodResources(cpu=100, memory=400, limit=800, pods=3), "consumer": PodResources(50, 100, 200)}
    assert pod_resources.total(pods) == PodResources(cpu=350, memory=1300, limit=2600, pods=4)


def test_a_node_needs_what_the_pods_and_kind_request() -> None:
    pods = pod_resources.total(pod_resources.load()["lite both"])
    assert pod_resources.needed_cpu("lite", "both") == pods.cpu + KIND.cpu
    assert pod_resources.needed_memory("lite", "both") == pods.memory + KIND.memory + OUTSIDE_OF_PODS
    assert pod_resources.needed_cpu("lite", "python") < pod_resources.needed_cpu("lite", "both")
