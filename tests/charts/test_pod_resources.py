"""What all pods of an environment request fits the machine that it is for, and operators' pods are counted too."""

import pytest

from ops.kubernetes import pod_resources
from ops.kubernetes.pod_resources import PodResources
from tests.charts import rendering
from tests.charts.pod_resources import COMMAND, PASSING, collect, of_objects, of_operators
from tests.charts.rendering import SITUATIONS

CPUS = 2000
# 6 GB of Docker's memory, of which a virtual machine's kernel keeps up to 5%.
MEMORY = 6 * 1024 * 0.95
ON_ONE_MACHINE = [name for name in SITUATIONS if not name.startswith("production")]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_file_has_what_the_charts_request(situation: str) -> None:
    assert pod_resources.load()[situation] == collect(situation), f"type: {COMMAND}"


def test_the_file_has_all_situations() -> None:
    assert set(pod_resources.load()) == set(SITUATIONS)


@pytest.mark.parametrize("situation", ON_ONE_MACHINE)
def test_two_cpus_and_six_gigabytes_are_enough_with_a_batch_step(situation: str) -> None:
    environment, _, variant = situation.partition(" ")
    assert PASSING in pod_resources.load()[situation]
    assert pod_resources.needed_cpu(environment, variant or "python") <= CPUS  # type: ignore[arg-type]
    assert pod_resources.needed_memory(environment, variant or "python") <= MEMORY  # type: ignore[arg-type]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_pod_requests_more_than_its_limit(situation: str) -> None:
    assert [name for name, one in pod_resources.load()[situation].items() if not 0 < one.memory <= one.limit] == []


def test_pods_that_operators_create_are_counted() -> None:
    kafka = {"mode": "strimzi", "strimzi": {"nodePools": [
        {"name": "dual", "replicas": 3, "roles": ["controller", "broker"], "jvmOptions": {"-Xmx": "1g"},
         "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "3Gi"}}}]}}  # fmt: skip
    found = of_objects(rendering.chart("kafka", kafka))
    assert found["kafka dual"] == PodResources(cpu=1000, memory=2048, limit=3072, pods=3)
    assert found["kafka entity-operator"].cpu == 40
    executors = {"instances": 4, "cores": 2, "coreRequest": "500m", "memory": "1g", "memoryOverhead": "384m"}
    found = of_objects(rendering.chart("spark-candles", {"mode": "operator", "operator": {"executors": executors}}))
    assert found["spark-candles executor"] == PodResources(cpu=500, memory=1408, limit=1408, pods=4)
    assert found["spark-candles driver"].pods == 1


def test_operators_of_upstream_charts_are_counted() -> None:
    def sized(cpu: str) -> dict[str, dict[str, dict[str, str]]]:
        return {"resources": {"requests": {"cpu": cpu, "memory": "100Mi"}, "limits": {"memory": "200Mi"}}}

    values = {"strimzi-operator": sized("70m"), "spark-operator": {"controller": sized("1"), "webhook": sized("0.5")}}
    assert {name: one.cpu for name, one in of_operators(values).items()} == {
        "strimzi-operator": 70,
        "spark-operator": 1000,
        "spark-operator webhook": 500,
    }


def test_a_pod_counts_as_its_containers_together_or_as_its_largest_init_container() -> None:
    prepare = {"resources": {"requests": {"cpu": "3"}}}
    airflow = of_objects(rendering.chart("airflow", {"prepare": prepare}))["airflow"]
    assert (airflow.cpu, airflow.memory) == (3000, 3 * 288)


def test_the_largest_pod_that_passes_is_counted_once() -> None:
    components = {
        "ge": {"resources": {"requests": {"cpu": "2"}}},
        "dbt": {"resources": {"requests": {"memory": "1Gi"}}},
    }
    found = of_objects(rendering.chart("batch", {"components": components}))
    assert (found[PASSING].cpu, found[PASSING].memory, found[PASSING].pods) == (2000, 1024, 1)
    rolled = of_objects(rendering.chart("consumer", {"replicas": 2, "resources": {"requests": {"cpu": "300m"}}}))
    assert (rolled["consumer"].pods, rolled[PASSING].cpu) == (2, rolled["consumer"].cpu)
