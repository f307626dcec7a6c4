"""Grafana: off by default; where it is on, its files come from the chart and its password from a Secret."""

import json
from functools import cache

import yaml

from tests.charts import connections
from tests.charts.connections import Edge
from tests.charts.rendering import Object, chart, containers, environment, of_kind, pods
from tests.servers import ROOT

DASHBOARDS = ROOT / "charts/monitoring/files/dashboards"


@cache
def installed() -> tuple[Object, ...]:
    """Return the objects of the chart with Grafana."""
    return chart("monitoring", {"grafana": {"enabled": True}})


def grafana(kind: str, name: str = "grafana") -> Object:
    """Return Grafana's object of that kind."""
    (found,) = [one for one in of_kind(installed(), kind) if one["metadata"]["name"] == name]
    return found


def test_it_is_off_by_default() -> None:
    assert [one for one in chart("monitoring") if "grafana" in one["metadata"]["name"]] == []
    prometheus = [edge for edge in connections.admitted(chart("monitoring")) if edge.target == "prometheus"]
    assert "grafana" not in {edge.source for edge in prometheus}


def test_it_reads_our_prometheus_and_connects_to_nothing_else() -> None:
    assert {edge for edge in connections.edges(installed(), "egress", "to") if edge.source == "grafana"} == {
        Edge("grafana", "prometheus", 9090)
    }
    assert Edge("grafana", "prometheus", 9090) in connections.admitted(installed())
    files = grafana("ConfigMap")["data"]
    (source,) = yaml.safe_load(files["datasources.yaml"])["datasources"]
    (service,) = [one for one in of_kind(installed(), "Service") if one["metadata"]["name"] == "prometheus"]
    assert source["url"] == f"http://prometheus:{service['spec']['ports'][0]['port']}"
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


def test_it_shows_every_dashboard() -> None:
    shown = grafana("ConfigMap", "grafana-dashboards")["data"]
    assert {name: json.loads(text) for name, text in shown.items()} == {
        path.name: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")
    }
    (provider,) = yaml.safe_load(grafana("ConfigMap")["data"]["dashboards.yaml"])["providers"]
    pod = grafana("Deployment")["spec"]["template"]
    (container,) = containers(pod)
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts[provider["options"]["path"]]["name"] == "dashboards"
    (home,) = [one["value"] for one in container["env"] if one["name"].endswith("_HOME_DASHBOARD_PATH")]
    assert home.removeprefix(provider["options"]["path"] + "/") in shown
    for kind in ("datasources", "dashboards"):
        assert mounts[f"/etc/grafana/provisioning/{kind}/crypto-analytics.yaml"]["subPath"] == f"{kind}.yaml"


def test_its_passwords_are_in_a_secret_and_the_reader_knows_the_admins() -> None:
    made = {one["metadata"]["name"]: one["data"] for one in of_kind(environment("lite"), "Secret")}
    (container,) = containers(grafana("Deployment")["spec"]["template"])
    (source,) = container["envFrom"]
    secret = made[source["secretRef"]["name"]]
    assert set(secret) == {"GF_SECURITY_ADMIN_PASSWORD", "GF_SECURITY_SECRET_KEY"}
    assert secret["GF_SECURITY_ADMIN_PASSWORD"] == made["reader"]["GRAFANA_ADMIN_PASSWORD"]


def test_its_image_and_port_follow_the_environment() -> None:
    objects = environment("lite", {"grafana": {"enabled": True, "imageRegistry": "mirror.example.com"}})
    images = [one["image"] for name, pod in pods(objects) for one in containers(pod) if name.endswith("/grafana")]
    assert len(images) == 1
    assert images[0].startswith("mirror.example.com/grafana/grafana:")
    (outside,) = [one for one in of_kind(objects, "Service") if one["metadata"]["name"] == "grafana-external"]
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    mapped = {one["containerPort"]: one["hostPort"] for one in config["nodes"][0]["extraPortMappings"]}
    assert mapped[outside["spec"]["ports"][0]["nodePort"]] == 3300
