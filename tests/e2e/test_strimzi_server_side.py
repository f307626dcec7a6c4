"""An API server validates Strimzi's resources of environments default and production, with or without the operator."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.common.settings import NAMESPACE
from tests.charts import rendering, strimzi
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.programs import ProgramFailed
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.kind

SCRATCH = "strimzi-server-side"
_GROUP = "kafka.strimzi.io"
_CRD = "customresourcedefinition.apiextensions.k8s.io"
_PLURALS = ",".join(f"{kind.lower()}s.{_GROUP}" for kind in strimzi.MODELS)


@pytest.fixture(scope="module")
def api(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """Yield the cluster with Strimzi's CRDs and an empty namespace, which is removed afterwards.

    An installed operator's CRDs are used as they are. Without them, generated ones are installed and removed again.
    """
    own = [] if _installed(kubernetes) else _generated(tmp_path_factory.mktemp("strimzi"))
    try:
        if own:
            kubernetes.kubectl("create", *own)
            # kubectl wait fails on a definition that has no conditions yet.
            established = ("wait", *own, "--for=condition=Established", "--timeout=10s")
            wait_until(lambda: kubernetes.kubectl(*established), 60, "the definitions are established")
        kubernetes.kubectl("create", "namespace", SCRATCH)
        yield kubernetes
    finally:
        kubernetes.kubectl("delete", "namespace", SCRATCH, "--ignore-not-found", "--timeout=110s")
        if own:
            kubernetes.kubectl("delete", *own, "--ignore-not-found", "--timeout=110s")


def _installed(kubernetes: Kubernetes) -> bool:
    """Return whether the cluster has the CRDs. To remove those of others would remove every Kafka of the cluster."""
    names = kubernetes.kubectl("get", "crds", "-o", "name").split()
    missing = [kind for kind in strimzi.MODELS if f"{_CRD}/{kind.lower()}s.{_GROUP}" not in names]
    if 0 < len(missing) < len(strimzi.MODELS):
        pytest.fail(f"CRDs of {_GROUP} without {', '.join(missing)}; next: kubectl get kafkas -A", pytrace=False)
    return not missing


def _generated(folder: Path) -> list[str]:
    return [f"--filename={path}" for path in strimzi.generate_crds(folder).values()]


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
    found = json.loads(api.kubectl("get", _PLURALS, "-A", "-o", "json"))["items"]
    outside = [one for one in found if one["metadata"]["namespace"] != NAMESPACE]
    assert outside == []
    assert bool(found) is (api.environment.kafka == "strimzi")


def _first(kind: str) -> dict[str, Any]:
    return deepcopy(dict(rendering.of_kind(rendering.chart("kafka", {"mode": "strimzi"}), kind)[0]))
