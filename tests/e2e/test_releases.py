"""The releases: their helm tests, a second run of helmfile, and repeated jobs."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ops.kubernetes import helm
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, wait_caught_up
from tests.e2e.workloads import is_reported_ready

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
    wanted = {*kubernetes.streaming, "airflow", "superset"}  # the operators' charts have no tests
    assert wanted <= tested, f"without a test: {wanted - tested}"
    assert all("Failed" not in text for text in outputs.values())


@pytest.mark.parametrize("action", ["sync", "apply"] if helm.has_diff() else ["sync"])  # `apply` needs helm-diff
def test_a_second_run_changes_no_secret_and_no_pod(kubernetes: Kubernetes, platform: Platform, action: str) -> None:
    secrets = fingerprints(kubernetes)
    parts = (*kubernetes.streaming, *kubernetes.environment.others)
    before = {component: platform.instances(component) for component in parts}
    kubernetes.helmfile(action, variant=kubernetes.variant)
    assert fingerprints(kubernetes) == secrets
    assert {component: platform.instances(component) for component in parts} == before
    assert {release["status"] for release in releases(kubernetes).values()} == {"deployed"}


def fingerprints(kubernetes: Kubernetes) -> dict[str, str]:
    """Return a hash of each Secret's data, so that a failed comparison does not print passwords."""
    return {
        name: hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
        for name, data in kubernetes.secrets().items()
    }


@pytest.mark.variant
def test_the_operators_report_that_their_resources_are_ready(kubernetes: Kubernetes) -> None:
    """An environment without operators has no such resources."""
    resources = kubernetes.custom_resources()
    kinds = kubernetes.environment.custom_resources
    assert {one["kind"] for one in resources if kinds} >= kinds
    assert bool(resources) is bool(kinds)
    reporting = [one for one in resources if one["kind"] in kinds]
    assert [one["metadata"]["name"] for one in reporting if not is_reported_ready(one)] == []


def test_the_jobs_can_run_again(kubernetes: Kubernetes, platform: Platform) -> None:
    for component in kubernetes.environment.jobs:
        run_again(kubernetes, component)
    wait_caught_up(platform, DEFAULT_SYMBOLS)


def run_again(kubernetes: Kubernetes, component: str) -> None:
    """Run a copy of the newest job of ``component``."""
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
