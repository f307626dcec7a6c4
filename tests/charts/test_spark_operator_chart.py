"""The chart of the Spark operator's release, rendered with our values: what our charts and hooks rely on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.charts.custom_resources import spark_operator
from tests.charts.rendering import (
    KUBERNETES,
    Object,
    chart,
    containers,
    environment,
    name_of,
    of_kind,
    pods,
    template,
    written_values,
)

OVERRIDE = {"imagePullSecrets": ["registry"], "pullPolicy": "Always", "podMonitor": {"enabled": True}}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return our values of the operator's chart, with every optional value."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "override.yaml").write_text(json.dumps(OVERRIDE))
    return dict(written_values("default spark", folder / "override.yaml", folder)["spark-operator"])


@pytest.fixture(scope="module")
def objects(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Object, ...]:
    """Return the objects of the operator's chart."""
    charts = tmp_path_factory.mktemp("charts")
    (charts / "spark-operator").symlink_to(spark_operator() / "charts/spark-operator-chart")
    rendered = yaml.safe_load_all(template("spark-operator", json.dumps(values), charts=charts))
    return tuple(one for one in rendered if one)


def _unknown(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key, value in ours.items():
        if key not in theirs:
            yield f"{where}{key}"
        elif isinstance(value, Mapping) and theirs[key] and key != "podSecurityContext":
            yield from _unknown(value, theirs[key], f"{where}{key}.")


def test_every_value_is_one_of_the_charts(values: dict[str, Any]) -> None:
    theirs = yaml.safe_load((spark_operator() / "charts/spark-operator-chart/values.yaml").read_text())
    assert list(_unknown(values, theirs)) == []
    assert list(_unknown({"image": {"pullSecret": []}}, theirs)) == ["image.pullSecret"]


def test_the_objects_are_valid(objects: tuple[Object, ...]) -> None:
    for one in objects:
        kubernetes_validate.validate(dict(one), KUBERNETES, strict=True)


def test_pods_have_pull_secrets_and_pass_restricted(objects: tuple[Object, ...]) -> None:
    found = dict(pods(objects))
    assert set(found) == {"Deployment/spark-operator-controller", "Deployment/spark-operator-webhook"}
    for name, pod in found.items():
        spec = pod["spec"]
        assert spec["imagePullSecrets"] == [{"name": "registry"}], name
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["imagePullPolicy"] == "Always"
            assert container["image"].startswith("ghcr.io/kubeflow/spark-operator/controller:")
            assert container["resources"]["limits"]["memory"]
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)


def test_our_policy_and_pod_monitor_select_the_pods_and_their_ports(objects: tuple[Object, ...]) -> None:
    ours = environment("default spark", OVERRIDE)
    (policy,) = (one for one in of_kind(ours, "NetworkPolicy") if one["metadata"]["name"] == "spark-operator")
    (monitor,) = (one for one in of_kind(ours, "PodMonitor") if one["metadata"]["name"] == "spark-operator")
    ports = {}
    for _, pod in pods(objects):
        for selector in (policy["spec"]["podSelector"], monitor["spec"]["selector"]):
            assert selector["matchLabels"].items() <= pod["metadata"]["labels"].items()
        its = {port["name"]: port["containerPort"] for one in containers(pod) for port in one["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= set(its)
        ports |= its
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert allowed == {ports["metrics"], ports["webhook"]}


def test_the_drivers_account_is_the_charts(objects: tuple[Object, ...]) -> None:
    (application,) = of_kind(chart("spark-candles", {"mode": "operator"}), "SparkApplication")
    assert f"ServiceAccount/{application['spec']['driver']['serviceAccount']}" in {name_of(one) for one in objects}
