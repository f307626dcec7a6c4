"""Each chart alone: with its default values, with each optional value switched, and with a misspelled value."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.charts.rendering import CHARTS, chart, containers, of_kind, pods, program, template
from tests.charts.rules import problems
from tests.charts.test_kubernetes_versions import OLDEST
from tests.servers import ROOT

Values = Mapping[str, Any]

# The switched values that many charts have; a chart without the value is left out.
_COMMON: dict[str, Values] = {
    "registry": {"image": {"registry": "registry.example.com:5000/team"}},
    "pull secrets": {"imagePullSecrets": ["registry"]},
    "labels": {"extraLabels": {"team": "data"}},
    "annotations": {"podAnnotations": {"example.com/note": "seen"}},
    "node": {"nodeSelector": {"disk": "fast"}},
    "taint": {"tolerations": [{"key": "data", "operator": "Exists"}]},
    "affinity": {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]}}},
    "spread": {"topologySpread": [{"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}]},
    "volume": {"extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
               "extraVolumeMounts": [{"name": "authority", "mountPath": "/etc/authority", "readOnly": True}]},
    "no policies": {"networkPolicy": {"enabled": False}},
    "exposed": {"expose": {"enabled": True}},
    "monitored": {"podMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}}},
    "budget": {"podDisruptionBudget": {"maxUnavailable": 0}},
    "storage class": {"persistence": {"storageClass": "fast"}},
}  # fmt: skip
_OWN: dict[str, dict[str, Values]] = {
    "consumer": {"three": {"replicas": 3}, "a setting": {"settings": {"BATCH_TRADES": 1000000, "S3_SECURE": None}}},
    "producer": {"no internet": {"networkPolicy": {"egressInternet": []}}},
    "spark-candles": {
        "by the operator": {"mode": "operator"},
        "a setting": {"settings": {"SPARK_TRIGGER_SECONDS": 2}},
        "monitored by the operator": {"mode": "operator", "podMonitor": {"enabled": True}},
    },
    "simulator": {"a port": {"expose": {"enabled": True, "nodePort": 31899}}},
    "airflow": {
        "a webhook outside": {"networkPolicy": {"egressInternet": [443]}},
        "a setting": {"settings": {"BATCH_RETRY_SECONDS": 1}},
        "a container": {"containers": {"scheduler": {"resources": {"limits": {"memory": "2Gi"}}}}},
    },
    "migrate": {"outside": {"networkPolicy": {"egress": [{"cidrs": ["10.0.0.0/8"], "ports": [5432]}]}}},
    "kafka": {
        "by the operator": {"mode": "strimzi"},
        "monitored": {"mode": "strimzi", "podMonitor": {"enabled": True}},
    },
    "namespace": {
        "no secrets": {"secrets": {"create": False}},
        "operator": {"networkPolicy": {"strimziOperator": {"enabled": True}}},
        "Spark's operator": {"networkPolicy": {"sparkOperator": {"enabled": True}}},
        "monitored": {
            "podMonitor": {"enabled": True},
            "networkPolicy": {"strimziOperator": {"enabled": True}, "sparkOperator": {"enabled": True}},
        },
        "DNS on the node": {"networkPolicy": {"dns": {"cidrs": ["169.254.20.10/32"]}}},
    },
    "monitoring": {
        "a receiver": {"alertmanager": {"secretName": "receiver", "egressInternet": [443]}},
        "no job": {"targets": {"minio": None}},
        "discovered": {
            "targets": {
                "consumer": {
                    "host": None,
                    "podLabels": {"app.kubernetes.io/name": "consumer"},
                    "port": 8000,
                    "discover": True,
                }
            }
        },
        "a rule": {"extraRules": {"mine.yaml": {"groups": []}}},
        "for the Prometheus operator": {"prometheusRule": {"enabled": True}},
        "exposed": {"prometheus": {"expose": {"enabled": True}}},
        "storage class": {"prometheus": {"persistence": {"storageClass": "fast"}}},
        "Grafana": {"grafana": {"enabled": True}},
        "Grafana, exposed": {"grafana": {"enabled": True, "expose": {"enabled": True}}},
    },
    "batch": {
        "no sweep": {"sweep": {"enabled": False}},
        "a tag": {"components": {"dbt": {"image": {"tag": "1.2.3"}}}},
    },
}


def _values(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "charts" / name / "values.yaml").read_text()))


def _switches() -> Iterator[Any]:
    for name in CHARTS:
        values_of_chart = _values(name)
        common = {title: values for title, values in _COMMON.items() if set(values) <= set(values_of_chart)}
        for title, values in (common | _OWN.get(name, {})).items():
            yield pytest.param(name, values, id=f"{name}: {title}")


@pytest.mark.parametrize("name", CHARTS)
def test_chart_keeps_the_rules(name: str) -> None:
    assert problems(chart(name)) == []


@pytest.mark.parametrize(("name", "values"), list(_switches()))
def test_switched_value_counts_and_keeps_the_rules(name: str, values: Values) -> None:
    switched = chart(name, values)
    assert problems(switched) == []
    assert _without_passwords(switched) != _without_passwords(chart(name)), "the value changes nothing"


@pytest.mark.parametrize("name", CHARTS)
def test_lint_is_strict_and_silent(name: str) -> None:
    command = [program("helm"), "lint", "--strict", str(ROOT / "charts" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("name", CHARTS)
def test_typo_in_a_value_fails(name: str) -> None:
    values = _values(name)
    typos: list[Values] = [{"replicass": 1}]
    typos += [{key: {"enabledd": True}} for key in ("image", "expose", "networkPolicy", "resources") if key in values]
    for typo in typos:
        complaint = template(name, json.dumps(typo), fails=True)
        assert re.search(r"additional propert|not allowed", complaint, re.IGNORECASE), complaint


@pytest.mark.parametrize("name", [name for name in CHARTS if "settings" in _values(name)])
def test_secret_among_the_plain_settings_fails(name: str) -> None:
    assert "POSTGRES_PASSWORD" in template(name, json.dumps({"settings": {"POSTGRES_PASSWORD": "hunter2"}}), fails=True)


@pytest.mark.parametrize("name", [name for name in CHARTS if "tag" in _values(name).get("image", {})])
def test_moving_tag_fails(name: str) -> None:
    assert "image" in template(name, json.dumps({"image": {"tag": "latest"}}), fails=True)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_declares_its_versions_and_has_notes_and_a_helm_test(name: str) -> None:
    about = yaml.safe_load((ROOT / "charts" / name / "Chart.yaml").read_text())
    assert about["kubeVersion"] == f">=1.{OLDEST}.0-0"
    assert about["version"] == about["appVersion"]
    assert "kubectl" in (ROOT / "charts" / name / "templates/NOTES.txt").read_text()
    tests = [one for one in of_kind(chart(name), "Pod") if one["metadata"]["annotations"]["helm.sh/hook"] == "test"]
    assert tests, "helm test has nothing to do"
    assert all("/bin/true" not in str(containers(one)) for one in tests)


@pytest.mark.parametrize("name", CHARTS)
def test_every_value_has_a_comment(name: str) -> None:
    lines = (ROOT / "charts" / name / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+:", line):
            near = [*lines[max(0, number - 1) : number], *lines[number + 1 : number + 3]]
            assert any(other.strip().startswith("# ") for other in near), f"{line} has no comment"


@pytest.mark.parametrize("name", CHARTS)
def test_definitions_of_the_schema_are_the_librarys(name: str) -> None:
    shared = json.loads((ROOT / "charts/common/values.defs.json").read_text())
    schema = json.loads((ROOT / "charts" / name / "values.schema.json").read_text())
    own = {key: value for key, value in schema.get("$defs", {}).items() if key in shared}
    assert own == {key: shared[key] for key in own}
    assert schema["additionalProperties"] is False


def test_job_is_a_new_one_only_when_it_changes() -> None:
    def job(**values: Any) -> str:
        return str(of_kind(chart("migrate", values), "Job")[0]["metadata"]["name"])

    assert job() == job(networkPolicy={"enabled": False})
    assert job() != job(image={"tag": "0.2.0"})


@pytest.mark.parametrize(
    ("replicas", "most", "created"), [(1, 1, False), (1, 0, True), (3, 1, True), (3, 3, False), (0, 1, False)]
)
def test_a_budget_is_created_where_it_protects_a_pod(replicas: int, most: int, created: bool) -> None:
    values = {"replicas": replicas, "podDisruptionBudget": {"maxUnavailable": most}}
    found = of_kind(chart("consumer", values), "PodDisruptionBudget")
    assert [one["spec"]["maxUnavailable"] for one in found] == ([most] if created else [])


def test_consumer_rolls_without_a_pause_and_the_others_never_double() -> None:
    strategies = {
        name: of_kind(chart(name), "Deployment")[0]["spec"]["strategy"]
        for name in ("consumer", "producer", "simulator", "spark-candles")
    }
    assert strategies["consumer"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    recreated = {name: its for name, its in strategies.items() if its == {"type": "Recreate"}}
    assert set(recreated) == {"producer", "simulator", "spark-candles"}


def test_numbers_stay_as_they_were_written() -> None:
    (_, pod), *_ = pods(chart("consumer", {"settings": {"BATCH_TRADES": 1000000, "BATCH_SECONDS": 0.5}}))
    env = {entry["name"]: entry["value"] for entry in containers(pod)[0]["env"]}
    assert (env["BATCH_TRADES"], env["BATCH_SECONDS"], env["S3_SECURE"]) == ("1000000", "0.5", "false")


def _without_passwords(objects: tuple[Mapping[str, Any], ...]) -> list[Mapping[str, Any]]:
    return [{**one, "data": sorted(one["data"])} if one["kind"] == "Secret" else one for one in objects]
