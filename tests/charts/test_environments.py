"""All releases of an environment together: rules, secrets, and the differences between the environments."""

import base64
import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_analytics.batch.step_definitions import STEPS
from ops.common import settings
from tests.charts.rendering import (
    NAMESPACE,
    SITUATIONS,
    Object,
    containers,
    environment,
    name_of,
    of_kind,
    pods,
    steps,
    template,
    written_values,
)
from tests.charts.rules import FOREIGN_GROUPS, problems
from tests.servers import ROOT
from tests.step_resources import STEP_RESOURCES

LOOKUP = 'lookup "v1" "Secret" $.Release.Namespace $secret.name'  # not rendered by helm template, which has no cluster


@pytest.mark.parametrize("name", SITUATIONS)
def test_environment_keeps_the_rules(name: str) -> None:
    assert problems(environment(name)) == []


@pytest.mark.parametrize("name", SITUATIONS)
def test_no_two_objects_have_one_name(name: str) -> None:
    names = [name_of(one) for one in environment(name)]
    assert sorted(names) == sorted(set(names))


def test_the_hook_makes_the_namespace_where_everything_goes() -> None:
    made = yaml.safe_load((ROOT / "environments/namespace.yaml").read_text())
    assert (made["kind"], made["metadata"]["name"]) == ("Namespace", NAMESPACE)
    assert NAMESPACE == settings.NAMESPACE


def test_lite_needs_no_operator() -> None:
    objects = environment("lite both")
    assert {one["apiVersion"] for one in objects if one["apiVersion"].startswith(FOREIGN_GROUPS)} == set()


@pytest.mark.parametrize("name", ["default", "lite", "default both", "lite both"])
def test_no_password_outside_of_the_secrets(name: str) -> None:
    objects = environment(name)
    secrets = of_kind(objects, "Secret")
    passwords = {base64.b64decode(value).decode() for one in secrets for value in one["data"].values()}
    others = json.dumps([one for one in objects if one["kind"] != "Secret"])
    assert passwords
    assert not [password for password in passwords if password in others]


@pytest.mark.parametrize("name", SITUATIONS)
def test_secret_settings_come_from_the_components_own_secret(name: str) -> None:
    for owner, pod in pods(environment(name)):
        for container in containers(pod):
            sources = [source["secretRef"]["name"] for source in container.get("envFrom", [])]
            assert len(sources) <= 1, f"{owner} {container['name']} reads {sources}"
            assert not any("secretKeyRef" in entry.get("valueFrom", {}) for entry in container.get("env", []))


@pytest.mark.parametrize("name", ["default", "lite", "default both", "lite both"])
def test_every_secret_that_a_pod_reads_is_made(name: str) -> None:
    made = {one["metadata"]["name"] for one in of_kind(environment(name), "Secret")}
    read = {
        source["secretRef"]["name"]
        for _, pod in pods(environment(name))
        for container in containers(pod)
        for source in container.get("envFrom", [])
    }
    assert read <= made


def test_a_password_is_the_same_wherever_it_is_used_and_differs_from_all_others() -> None:
    declared = yaml.safe_load((ROOT / "charts/namespace/files/secrets.yaml").read_text())
    made = {one["metadata"]["name"]: one["data"] for one in of_kind(environment("lite"), "Secret")}
    values: dict[str, set[str]] = {}
    for secret in declared:
        for key, password in secret["keys"].items():
            values.setdefault(password, set()).add(made[secret["name"]][key])
    assert all(len(found) == 1 for found in values.values())
    assert len(set.union(*values.values())) == len(values)
    lengths = {word: len(base64.b64decode(next(iter(found)))) for word, found in values.items()}
    wanted = {"fernet": 44, "long": 64}
    assert lengths == {word: wanted.get(word.partition("-")[0], 32) for word in values}
    for secret in of_kind(environment("lite"), "Secret"):
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_an_upgrade_keeps_passwords_and_gives_a_new_role_its_own(tmp_path: Path) -> None:
    """An installation before the role producer existed: its Secret has the reader's password."""
    namespace = tmp_path / "namespace"
    shutil.copytree(ROOT / "charts/namespace", namespace)
    (file,) = [path for path in (namespace / "templates").glob("*.yaml") if LOOKUP in path.read_text()]
    file.write_text(file.read_text().replace(LOOKUP, "index $.Values.found $secret.name"))
    (namespace / "values.schema.json").unlink()

    def upgraded(found: Mapping[str, Any]) -> dict[str, Any]:
        objects = yaml.safe_load_all(template("namespace", yaml.safe_dump({"found": found}), charts=tmp_path))
        return {one["metadata"]["name"]: {"data": one["data"]} for one in objects if one and one["kind"] == "Secret"}

    installed = upgraded({})
    before = copy.deepcopy(installed)
    del before["migrate"]["data"]["PRODUCER_PASSWORD"]
    before["producer"]["data"]["POSTGRES_PASSWORD"] = before["reader"]["data"]["POSTGRES_PASSWORD"]
    after = upgraded(before)
    own = after["migrate"]["data"].pop("PRODUCER_PASSWORD")
    assert after["producer"]["data"].pop("POSTGRES_PASSWORD") == own
    assert own not in {value for secret in before.values() for value in secret["data"].values()}
    del before["producer"]["data"]["POSTGRES_PASSWORD"]
    assert after == before
    assert upgraded(installed) == installed


def test_the_steps_are_those_of_the_one_definition() -> None:
    rendered = steps(environment("lite"))
    assert set(rendered) == {step.name for step in STEPS}
    for step in STEPS:
        pod = rendered[step.name]
        (container,) = containers(pod)
        resources = STEP_RESOURCES[step.name]
        assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "batch", "the policy `batch` is for this label"
        assert pod["spec"]["restartPolicy"] == "Never"
        assert pod["spec"]["activeDeadlineSeconds"] == step.timeout_seconds
        assert container["name"] == step.name.replace("_", "-"), "the DAG finds the container by this name"
        assert container["command"] == ["python", "-m", "crypto_analytics.batch.step", step.name]
        assert _settings(container)["POSTGRES_USER"] == step.role
        assert container["resources"] == {
            "requests": {"cpu": resources.cpu_request, "memory": resources.memory_request},
            "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
        }


def test_only_airflows_scheduler_has_a_token_and_it_reads_no_secret() -> None:
    objects = environment("lite")
    for owner, pod in pods(objects):
        projected = {volume["name"] for volume in pod["spec"]["volumes"] if "projected" in volume}
        mounting = {
            container["name"]
            for container in containers(pod)
            if projected & {mount["name"] for mount in container["volumeMounts"]}
        }
        assert mounting == ({"scheduler"} if owner == "StatefulSet/airflow" else set()), owner
    (role,) = of_kind(objects, "Role")
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"pods", "pods/log", "events"}
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")


def test_airflows_keys_are_of_the_form_that_it_asks_for_and_differ_per_install() -> None:
    def keys(name: str) -> dict[str, str]:
        (secret,) = [one for one in of_kind(environment("lite", KUBE_CONTEXT=name), "Secret") if _is(one, "airflow")]
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}

    one, other = keys("one"), keys("other")
    assert not set(one.values()) & set(other.values())
    assert len(base64.urlsafe_b64decode(one["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(one["AIRFLOW__API_AUTH__JWT_SECRET"]) == len(one["AIRFLOW__API__SECRET_KEY"]) == 64


def _is(one: Object, name: str) -> bool:
    return bool(one["metadata"]["name"] == name)


def test_production_leaves_the_machine() -> None:
    objects = environment("production")
    (pool,) = of_kind(objects, "KafkaNodePool")
    assert pool["spec"]["replicas"] == 3
    here = {one["metadata"]["name"] for one in of_kind(objects, "StatefulSet")}
    assert here == {"airflow", "alertmanager", "prometheus"}
    assert not of_kind(objects, "Secret")
    assert not [one for one in of_kind(objects, "Service") if one["spec"].get("type") == "NodePort"]
    consumer = _deployment(objects, "consumer")
    assert consumer["spec"]["replicas"] == 3
    assert consumer["spec"]["template"]["spec"]["topologySpreadConstraints"]
    # The single replicas may be evicted: a drain would wait for ever for a budget that protects one.
    assert [one["metadata"]["name"] for one in of_kind(objects, "PodDisruptionBudget")] == ["consumer", "api"]
    assert {one["metadata"]["name"] for one in of_kind(objects, "PodMonitor")} >= {"consumer", "producer"}
    settings = _settings(containers(consumer["spec"]["template"])[0])
    assert (settings["POSTGRES_SSLMODE"], settings["S3_SECURE"]) == ("verify-full", "true")
    assert all(
        container["image"].startswith("registry.example.com/")
        for _, pod in pods(objects)
        for container in containers(pod)
    )


def test_every_access_key_of_s3_can_be_set_and_production_names_it(tmp_path: Path) -> None:
    named = yaml.safe_load((ROOT / "environments/production.yaml").read_text())["releases"]
    components = {**named, **named["batch"]["components"]}
    keys = {
        one["settings"]["S3_ACCESS_KEY"] for one in components.values() if "S3_ACCESS_KEY" in one.get("settings", {})
    }
    rendered = {
        settings["S3_ACCESS_KEY"]
        for owner, pod in pods(environment("production both"))
        for settings in map(_settings, containers(pod))
        if "S3_ACCESS_KEY" in settings and not owner.startswith("Pod/")
    }
    assert keys == rendered
    own = {"consumer": {"settings": {"S3_ACCESS_KEY": "AKIA"}}}
    (tmp_path / "own.yaml").write_text(json.dumps({"releases": own}))
    assert (
        written_values("production", tmp_path / "own.yaml", tmp_path)["consumer"]["settings"]["S3_ACCESS_KEY"] == "AKIA"
    )


@pytest.mark.parametrize(
    ("feed", "host"), [("simulator", "ws://simulator:8899"), ("binance", "wss://stream.binance.com:9443")]
)
def test_feed_decides_whom_the_producer_follows_and_may_call(feed: str, host: str) -> None:
    objects = environment("lite", FEED=feed)
    producer = containers(_deployment(objects, "producer")["spec"]["template"])[0]
    assert _settings(producer)["BINANCE_WS_URL"] == host
    deployments = {one["metadata"]["name"] for one in of_kind(objects, "Deployment")}
    assert ("simulator" in deployments) is (feed == "simulator")
    (policy,) = [one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "producer"]
    assert ("0.0.0.0/0" in json.dumps(policy)) is (feed == "binance")


@pytest.mark.parametrize("feed", ["simulator", "binance"])
def test_a_private_address_of_the_exchange_is_open_to_its_clients_alone(tmp_path: Path, feed: str) -> None:
    override = tmp_path / "mine.yaml"
    override.write_text(yaml.safe_dump({"feed": feed, "binanceCidrs": ["172.18.0.0/16"]}))
    found = written_values("lite", override, tmp_path)
    opened = {"cidrs": ["172.18.0.0/16"], "ports": [443, 9443]}
    wanted = {"producer", "batch"} if feed == "binance" else set()
    assert {name for name, values in found.items() if opened in _egress(values)} == wanted


def _egress(values: Mapping[str, Any]) -> list[Any]:
    return values.get("networkPolicy", {}).get("egress", [])


def test_variables_reach_the_charts() -> None:
    objects = environment(
        "lite", SYMBOLS="SOLUSDT", IMAGE_REGISTRY="mirror.example.com/x", SIM_TRADES_PER_MINUTE="40000"
    )
    simulator = containers(_deployment(objects, "simulator")["spec"]["template"])[0]
    assert _settings(simulator)["SYMBOLS"] == "SOLUSDT"
    assert _settings(simulator)["SIM_TRADES_PER_MINUTE"] == "40000"
    assert simulator["image"].startswith("mirror.example.com/x/crypto-analytics/simulator:")


def _deployment(objects: tuple[Object, ...], name: str) -> Object:
    (found,) = [one for one in of_kind(objects, "Deployment") if one["metadata"]["name"] == name]
    return found


def _settings(container: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container.get("env", [])}


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_values_of_every_release_can_be_read_and_overridden(name: str, tmp_path: Path) -> None:
    """The upstream charts are not rendered here; helmfile at least reads the values for them."""
    override = tmp_path / "override.yaml"
    operators = {
        "strimzi-operator": {"replicas": 2},
        "spark-operator": {"controller": {"workers": 1}},
    }
    override.write_text(json.dumps({"releases": operators}))
    found = written_values(name, override, tmp_path)
    environment, _, variant = name.partition(" ")
    assert {"namespace", "kafka", "producer", "batch", "airflow"} <= set(found)
    assert ("strimzi-operator" in found) is (environment != "lite")
    assert ("spark-operator" in found) is (environment != "lite" and variant != "")
    assert ("spark-candles" in found) is (variant != "")
    if strimzi := found.get("strimzi-operator"):
        assert (strimzi["replicas"], strimzi["watchAnyNamespace"]) == (2, False)
    if spark := found.get("spark-operator"):
        assert spark["spark"]["jobNamespaces"] == [NAMESPACE]
        assert spark["controller"]["workers"] == 1
        assert spark["controller"]["resources"]["limits"]["memory"] == "512Mi"
