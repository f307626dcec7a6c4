"""The releases: their helm tests, a second run of helmfile, and repeated jobs."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.kubernetes import helm, helmfile, kind_cluster
from ops.platform import kind_node_ports
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.platforms import Platform
from tests.e2e.programs import run
from tests.e2e.recomputation import DEFAULT_SYMBOLS, wait_caught_up

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]


def releases(kubernetes: Kubernetes) -> dict[str, dict[str, Any]]:
    return {release["name"]: release for release in json.loads(kubernetes.helm("list", "-o", "json"))}


def test_each_release_passes_its_own_tests(kubernetes: Kubernetes) -> None:
    names = sorted(releases(kubernetes))
    assert set(kubernetes.streaming) <= set(names)
    with ThreadPoolExecutor(3) as pool:
        outputs = dict(
            zip(names, pool.map(lambda name: kubernetes.helm("test", name, "--timeout", "3m"), names), strict=True)
        )
    tested = {name for name, text in outputs.items() if "Phase:" in text}
    wanted = {*kubernetes.streaming, "airflow", "superset"}
    assert wanted <= tested, f"without a test: {wanted - tested}"
    assert all("Failed" not in text for text in outputs.values())


@pytest.mark.parametrize("action", ["sync", "apply"] if helm.has_diff() else ["sync"])  # `apply` needs helm-diff
def test_a_second_run_changes_no_secret_and_no_pod(kubernetes: Kubernetes, platform: Platform, action: str) -> None:
    secrets = fingerprints(kubernetes)
    parts = (*kubernetes.streaming, "airflow", "superset")
    before = {component: platform.instances(component) for component in parts}
    node = kind_cluster.node()
    assert node is not None
    numbers = kind_node_ports.effective(OpsSettings(), node.bound)
    line = helmfile.command("lite", KIND_CONTEXT, action)
    env = {name: str(number) for name, number in numbers.items()} | {"VARIANT": kubernetes.variant}
    run(*line, env=env | {"KUBECONFIG": str(kubernetes.cluster.kubeconfig_path)}, seconds=540)
    assert fingerprints(kubernetes) == secrets
    assert {component: platform.instances(component) for component in parts} == before
    assert {release["status"] for release in releases(kubernetes).values()} == {"deployed"}


def fingerprints(kubernetes: Kubernetes) -> dict[str, str]:
    """Return a hash of each Secret's data, so that a failed comparison does not print passwords."""
    return {
        name: hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
        for name, data in kubernetes.secrets().items()
    }


@pytest.mark.parametrize("component", ["migrate", "topics", "buckets"])
def test_a_job_can_run_again(kubernetes: Kubernetes, platform: Platform, component: str) -> None:
    jobs = kubernetes.get("jobs", "-l", f"app.kubernetes.io/name={component}")
    newest = max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
    spec = newest["spec"]
    template = spec["template"]
    labels = {
        key: value for key, value in template["metadata"]["labels"].items() if key.startswith("app.kubernetes.io/")
    }
    again = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{component}-e2e"},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": template["spec"]}},
    }
    kubernetes.run_job(again, 120)
    wait_caught_up(platform, DEFAULT_SYMBOLS)
