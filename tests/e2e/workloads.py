"""The pods of a component, and whether they are as their owner defines them, for each kind of owner."""

from collections.abc import Callable, Iterable
from typing import Any

Object = dict[str, Any]
Read = Callable[[str], list[Object]]  # returns the namespace's objects of a kind

DRIVER, EXECUTOR = "spark-candles", "spark-candles-executor"
# The owners of pods that keep running. Jobs and Airflow own the others; a driver's pod owns its executors'.
_OWNERS = {"ReplicaSet", "StatefulSet", "StrimziPodSet", "SparkApplication", "Pod"}


def component(one: Object) -> str:
    """Return the component of a pod or of an owner of pods; empty if its labels name none."""
    labels = one["spec"].get("template", one)["metadata"].get("labels", {})
    if labels.get("strimzi.io/kind") == "cluster-operator":
        return "strimzi-operator"  # Strimzi's chart gives it no other name
    return str(labels.get("app.kubernetes.io/name", ""))


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod, in the order in which they start."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def settings(container: Object) -> dict[str, str]:
    """Return the environment variables of a container that have a value in its definition."""
    return {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}


def is_ready(pod: Object) -> bool:
    """Return whether a pod is ready and not being deleted."""
    return _condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


class Workloads:
    """The components' pods and their owners: Deployments, StatefulSets, StrimziPodSets and SparkApplications."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def pods(self, *components: str) -> list[Object]:
        """Return the pods that keep running, of ``components`` or of all."""
        return [
            pod
            for pod in self._read("pods")
            if _owner(pod).get("kind") in _OWNERS and (not components or component(pod) in components)
        ]

    def members(self, name: str) -> list[Object]:
        """Return the pods whose resources a component uses: Spark's driver has executors."""
        return self.pods(name, EXECUTOR) if name == DRIVER else self.pods(name)

    def instances(self, name: str) -> frozenset[str]:
        """Return the id of each ready container of a component."""
        return frozenset(
            status["containerID"]
            for pod in self.pods(name)
            for status in pod["status"].get("containerStatuses", [])
            if status["ready"] and "deletionTimestamp" not in pod["metadata"]
        )

    def is_settled(self, name: str, kinds: Iterable[str]) -> bool:
        """Return whether exactly the pods run that the component's owners, objects of ``kinds``, define now."""
        owners = [one for kind in kinds for one in self._read(kind) if component(one) == name]
        pods = self.members(name)
        return (
            bool(owners)
            and len(pods) == sum(map(_wanted, owners))
            and all(map(is_ready, pods))
            and all(_is_rolled_out(owner, pods) for owner in owners)
        )


def is_reported_ready(resource: Object) -> bool:
    """Return whether an operator reports that its resource is ready as it is defined now."""
    if resource["kind"] == "SparkApplication":
        return bool(_state(resource) == "RUNNING")
    return _condition(resource, "Ready") and _observed(resource)


def _condition(one: Object, name: str) -> bool:
    return any(its["type"] == name and its["status"] == "True" for its in one.get("status", {}).get("conditions", []))


def _observed(one: Object) -> bool:
    return bool(one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"])


def _state(application: Object) -> str:
    return str(application.get("status", {}).get("applicationState", {}).get("state", ""))


def _owner(pod: Object) -> Object:
    return next(iter(pod["metadata"].get("ownerReferences", [])), {})


def _wanted(owner: Object) -> int:
    spec = owner["spec"]
    match owner["kind"]:
        case "StrimziPodSet":
            return len(spec["pods"])
        case "SparkApplication":
            return 1 + int(spec["executor"]["instances"])
        case _:
            return int(spec["replicas"])


def _is_rolled_out(owner: Object, pods: list[Object]) -> bool:
    status = owner.get("status", {})
    match owner["kind"]:
        case "StrimziPodSet":
            return _observed(owner) and status.get("readyPods") == status.get("currentPods") == _wanted(owner)
        case "SparkApplication":
            return _state(owner) == "RUNNING" and _is_current(owner, pods)
        case _:
            # A StatefulSet's updatedReplicas is absent if its current and its update revision are equal.
            wanted = _wanted(owner)
            return (
                _observed(owner)
                and status.get("readyReplicas", 0) == wanted
                and status.get("updatedReplicas", wanted) == wanted
            )


def _is_current(application: Object, pods: list[Object]) -> bool:
    """Return whether one driver has all executors, with the image and the settings of ``application``.

    The operator replaces the driver some seconds after a change, and reports the old state until then.
    """
    drivers = [pod for pod in pods if component(pod) == DRIVER]
    if len(drivers) != 1:
        return False
    (driver,) = drivers
    executors = [pod for pod in pods if pod is not driver]
    defined = settings(application["spec"]["driver"]["template"]["spec"]["containers"][0])
    return (
        {container["image"] for pod in pods for container in pod["spec"]["containers"]}
        == {application["spec"]["image"]}
        and defined.items() <= settings(driver["spec"]["containers"][0]).items()
        and {_owner(pod)["uid"] for pod in executors} == {driver["metadata"]["uid"]}
    )
