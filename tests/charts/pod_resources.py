"""Add up what the pods of each environment and variant request, those included that operators create.

``python -m tests.charts.pod_resources`` writes ops/kubernetes/pod_resources.yaml; `make doctor` and the documentation
read it.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.common.units import MIB, millicores, quantity
from ops.kubernetes.pod_resources import FILE, PodResources
from tests.charts.rendering import SITUATIONS, Object, environment, of_kind, pods, steps, written_values

COMMAND = "PYTHONPATH=services:. .demo/venv/dev/bin/python -m tests.charts.pod_resources"
# The row of the pods that run for a short time beside the others, one after the other.
PASSING = "batch step or Job"
_HEAD = f"""\
# Written by: {COMMAND}
# Pods of each environment and variant, with trades from the simulator where there is one: CPU request in millicores,
# memory request and limit in MiB, of each pod. "{PASSING}" is the largest pod that runs for a short time beside
# the others: a batch step, a Job, or the second pod of a rolling update.
"""

Resources = Mapping[str, Mapping[str, str | int | float]]


def collect(situation: str) -> dict[str, PodResources]:
    """Return the pods of a situation by component, rendered by helmfile."""
    feed = {} if situation.startswith("production") else {"FEED": "simulator"}
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder, "nothing.yaml")
        nothing.write_text("{}")
        values = written_values(situation, nothing, Path(folder))
    return dict(sorted({**of_objects(environment(situation, **feed)), **of_operators(values)}.items()))


def of_objects(objects: tuple[Object, ...]) -> dict[str, PodResources]:
    """Return the pods of rendered objects by component; operators create those of their own kinds."""
    found = dict(_created_by_operators(objects))
    passing = [_pod(pod) for pod in steps(objects).values()]
    for one in of_kind(objects, "Deployment", "StatefulSet", "Job", "CronJob", "Pod"):
        (pod,) = [template for _, template in pods((one,))]
        if one["kind"] in ("Deployment", "StatefulSet"):
            found[one["metadata"]["name"]] = _pod(pod, one["spec"]["replicas"])
            surge = one["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0)
            passing += [_pod(pod)] * min(surge, 1)
        else:
            passing.append(_pod(pod))
    return found | ({PASSING: _largest(passing)} if passing else {})


def _created_by_operators(objects: tuple[Object, ...]) -> Iterator[tuple[str, PodResources]]:
    for pool in of_kind(objects, "KafkaNodePool"):
        yield f"kafka {pool['metadata']['name']}", _sum([pool["spec"]["resources"]], pool["spec"]["replicas"])
    for kafka in of_kind(objects, "Kafka"):
        entity = kafka["spec"]["entityOperator"]
        yield "kafka entity-operator", _sum([entity[name]["resources"] for name in ("topicOperator", "userOperator")])
    for application in of_kind(objects, "SparkApplication"):
        driver, executor = application["spec"]["driver"], application["spec"]["executor"]
        yield "spark-candles driver", _spark(driver, 1)
        yield "spark-candles executor", _spark(executor, executor["instances"])


def _spark(role: Mapping[str, Any], instances: int) -> PodResources:
    """Return the pods of a driver or of executors: Spark requests the memory that it limits."""
    memory = sum(quantity(f"{role[key].upper()}i") for key in ("memory", "memoryOverhead"))  # 512m is 512 MiB
    return PodResources(millicores(role["coreRequest"]), _mib(memory), _mib(memory), instances)


def of_operators(values: Mapping[str, Any]) -> dict[str, PodResources]:
    """Return the pods of the operators' upstream charts, from the values of their releases."""
    found = {}
    if strimzi := values.get("strimzi-operator"):
        found["strimzi-operator"] = _sum([strimzi["resources"]])
    if spark := values.get("spark-operator"):
        found["spark-operator"] = _sum([spark["controller"]["resources"]])
        found["spark-operator webhook"] = _sum([spark["webhook"]["resources"]])
    return found


def _pod(pod: Object, replicas: int = 1) -> PodResources:
    """Return what Kubernetes reserves for a pod: the sum of its containers, or an init container that asks for more."""
    starting = pod["spec"].get("initContainers", [])
    assert not [one["name"] for one in starting if "restartPolicy" in one], "a sidecar counts with the containers"
    together = _sum([one["resources"] for one in pod["spec"]["containers"]])
    largest = _largest([together, *(_sum([one["resources"]]) for one in starting)])
    return PodResources(largest.cpu, largest.memory, largest.limit, replicas)


def _sum(resources: Iterable[Resources], pods: int = 1) -> PodResources:
    its = list(resources)
    return PodResources(
        cpu=sum(millicores(one["requests"]["cpu"]) for one in its),
        memory=_mib(sum(quantity(str(one["requests"]["memory"])) for one in its)),
        limit=_mib(sum(quantity(str(one["limits"]["memory"])) for one in its)),
        pods=pods,
    )


def _largest(found: Iterable[PodResources]) -> PodResources:
    its = list(found)
    return PodResources(max(one.cpu for one in its), max(one.memory for one in its), max(one.limit for one in its))


def _mib(size: int) -> int:
    return math.ceil(size / MIB)


def text() -> str:
    """Return the content of pod_resources.yaml."""
    lines = [_HEAD]
    for situation in SITUATIONS:
        lines.append(f"{situation}:\n")
        for name, one in collect(situation).items():
            fields = yaml.safe_dump(vars(one), default_flow_style=True, sort_keys=False, width=1000).strip()
            lines.append(f"  {name}: {fields}\n")
    return "".join(lines)


if __name__ == "__main__":
    FILE.write_text(text())
