"""An API server validates Strimzi's resources of the default and production environments, without the operator."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import rendering, strimzi
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.programs import ProgramFailed

pytestmark = pytest.mark.kind

SCRATCH = "strimzi-server-side"
_GROUP = "kafka.strimzi.io"


@pytest.fixture(scope="module")
def api(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """Yield the cluster with Strimzi's CRDs and an empty namespace; both are removed afterwards.

    CRDs that existed before are kept, because removing them would remove every Kafka of the cluster.
    """
    crds = kubernetes.kubectl("get", "crds", "-o", "name")
    if _GROUP in crds:
        pytest.fail(f"CRDs of {_GROUP} are in the cluster already; next: kubectl get kafkas -A", pytrace=False)
    files = strimzi.generate_crds(tmp_path_factory.mktemp("strimzi"))
    try:
        kubernetes.kubectl("create", *_of(files))
        kubernetes.kubectl("wait", *_of(files), "--for=condition=Established", "--timeout=60s")
        kubernetes.kubectl("create", "namespace", SCRATCH)
        yield kubernetes
    finally:
        kubernetes.kubectl("delete", "namespace", SCRATCH, "--ignore-not-found", "--timeout=110s")
        kubernetes.kubectl("delete", *_of(files), "--ignore-not-found", "--timeout=110s")


def _of(files: dict[str, Path]) -> list[str]:
    return [f"--filename={path}" for path in files.values()]


def _send(api: Kubernetes, *resources: rendering.Object) -> str:
    """Send ``resources`` in a dry run that refuses unknown and duplicate fields and stores nothing."""
    moved = [{**one, "metadata": {**one["metadata"], "namespace": SCRATCH}} for one in resources]
    options = [f"--namespace={SCRATCH}", "--server-side", "--dry-run=server", "--validate=strict", "--output=name"]
    return api.kubectl("apply", *options, "--filename=-", stdin=yaml.safe_dump_all(moved))


@pytest.mark.parametrize("environment", ["default", "production"])
def test_the_api_server_takes_all_resources(api: Kubernetes, environment: str) -> None:
    resources = rendering.of_kind(rendering.environment(environment), *strimzi.MODELS)
    taken = _send(api, *resources).split()
    assert sorted(taken) == sorted(f"{one['kind'].lower()}.{_GROUP}/{one['metadata']['name']}" for one in resources)


@pytest.mark.parametrize("kind", strimzi.MODELS)
def test_the_api_server_refuses_a_typo(api: Kubernetes, kind: str) -> None:
    resource = _first(kind)
    resource["spec"]["replica"] = 3
    with pytest.raises(ProgramFailed, match=r"spec\.replica"):
        _send(api, resource)


def test_the_api_server_refuses_resources_that_break_a_rule(api: Kubernetes) -> None:
    kafka = _first("Kafka")
    kafka["spec"]["kafka"]["metricsConfig"] = {"type": "jmxPrometheusExporter"}
    with pytest.raises(ProgramFailed, match="valueFrom property is required"):
        _send(api, kafka)


def test_nothing_was_kept(api: Kubernetes) -> None:
    plurals = ",".join(f"{kind.lower()}s.{_GROUP}" for kind in strimzi.MODELS)
    assert json.loads(api.kubectl("get", plurals, "-A", "-o", "json"))["items"] == []


def _first(kind: str) -> dict[str, Any]:
    return deepcopy(dict(rendering.of_kind(rendering.chart("kafka", {"mode": "strimzi"}), kind)[0]))
