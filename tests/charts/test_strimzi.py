"""The kafka chart's resources for the Strimzi operator: users, logins, limits, and what an uninstall keeps."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import rendering, strimzi
from tests.charts.optional_values import KAFKA
from tests.servers import ROOT

LOOKUP = 'lookup "v1" "Secret" $.Release.Namespace .'  # in common.podAnnotations
STRIMZI = rendering.chart("kafka", {"mode": "strimzi"})


def test_the_crds_are_of_the_version_that_is_installed() -> None:
    installed = yaml.safe_load((ROOT / "environments" / "base.yaml").read_text())["strimzi"]["version"]
    assert strimzi.POM.read_text().count(f"<version>{installed}</version>") == 2


def test_topics_and_users_are_those_of_access_yaml() -> None:
    access = yaml.safe_load((ROOT / "charts" / "kafka" / "files" / "access.yaml").read_text())
    topics = {one["metadata"]["name"]: one["spec"] for one in rendering.of_kind(STRIMZI, "KafkaTopic")}
    assert {name: (spec["topicName"], spec["partitions"]) for name, spec in topics.items()} == {
        topic["name"]: (topic["topicName"], topic["partitions"]) for topic in access["topics"]
    }
    for topic in access["topics"]:
        assert topics[topic["name"]]["config"] == topic["config"] | {"min.insync.replicas": "1"}
    users = {one["metadata"]["name"]: one["spec"] for one in rendering.of_kind(STRIMZI, "KafkaUser")}
    assert set(users) == {user["name"] for user in access["users"]} | {"admin"}
    for user in access["users"]:
        assert users[user["name"]]["authorization"] == {"type": "simple", "acls": user["acls"]}


def test_each_users_password_comes_from_the_secret_of_its_client() -> None:
    found = {}
    for user in rendering.of_kind(STRIMZI, "KafkaUser"):
        authentication = user["spec"]["authentication"]
        assert authentication["type"] == "scram-sha-512"
        source = authentication["password"]["valueFrom"]["secretKeyRef"]
        found[user["metadata"]["name"]] = (source["name"], source["key"])
    assert found == {
        "admin": ("kafka", "KAFKA_ADMIN_PASSWORD"),
        "producer": ("producer", "KAFKA_SASL_PASSWORD"),
        "consumer": ("consumer", "KAFKA_SASL_PASSWORD"),
        "spark": ("spark", "KAFKA_SASL_PASSWORD"),
        "publisher": ("publisher", "KAFKA_SASL_PASSWORD"),
        "api": ("api", "KAFKA_SASL_PASSWORD"),
        "reader": ("reader", "KAFKA_SASL_PASSWORD"),
    }


def test_a_changed_secret_changes_its_user_which_the_operator_watches(tmp_path: Path) -> None:
    """The lookup of the Secret, which needs a cluster, is replaced by fixed contents."""
    shutil.copytree(ROOT / "charts/kafka", tmp_path / "kafka")
    file = tmp_path / "kafka/charts/common/templates/_pod.tpl"
    text = file.read_text()

    def annotations(password: str) -> dict[str, str]:
        file.write_text(text.replace(LOOKUP, f'dict "data" (dict "password" (print . "{password}"))'))
        objects = yaml.safe_load_all(rendering.template("kafka", '{"mode": "strimzi"}', charts=tmp_path))
        users = [one for one in objects if one and one["kind"] == "KafkaUser"]
        return {user["metadata"]["name"]: user["metadata"]["annotations"]["checksum/secret"] for user in users}

    assert LOOKUP in text
    old, new = annotations("old"), annotations("new")
    assert len(set(old.values())) == len(old) == 7
    assert [name for name in old if old[name] == new[name]] == []
    assert annotations("old") == old


def test_the_user_operator_does_not_write_over_those_secrets() -> None:
    (kafka,) = rendering.of_kind(STRIMZI, "Kafka")
    assert kafka["spec"]["entityOperator"]["userOperator"]["secretPrefix"] == "strimzi-"


def test_every_pod_of_the_operator_is_restricted_and_bounded() -> None:
    (kafka,) = rendering.of_kind(STRIMZI, "Kafka")
    entity, broker = kafka["spec"]["entityOperator"], kafka["spec"]["kafka"]["template"]
    for container in (
        broker["kafkaContainer"],
        broker["initContainer"],
        entity["template"]["topicOperatorContainer"],
        entity["template"]["userOperatorContainer"],
    ):
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not context["allowPrivilegeEscalation"]
        assert context["readOnlyRootFilesystem"]
        assert context["runAsNonRoot"]
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    pools = [one["spec"] for one in rendering.of_kind(STRIMZI, "KafkaNodePool")]
    for bounded in (*pools, entity["topicOperator"], entity["userOperator"]):
        assert bounded["resources"]["limits"]["memory"]
        assert bounded["resources"]["requests"]["cpu"]
        assert bounded["jvmOptions"]["-Xmx"]


@pytest.mark.parametrize("values", [{"mode": "strimzi"}, KAFKA])
def test_the_pods_security_context_is_the_operators(values: Mapping[str, Any]) -> None:
    """The operator sets fsGroup 0, the group of uid 1001, only on pods whose template has no context of its own."""
    (kafka,) = rendering.of_kind(rendering.chart("kafka", values), "Kafka")
    templates = [kafka["spec"][part]["template"] for part in ("kafka", "entityOperator")]
    assert [template for template in templates if "securityContext" in template.get("pod", {})] == []


def test_every_listener_asks_for_a_login() -> None:
    (kafka,) = rendering.of_kind(rendering.chart("kafka", KAFKA), "Kafka")
    listeners = kafka["spec"]["kafka"]["listeners"]
    assert [one["name"] for one in listeners] == ["internal", "external"]
    assert {one["authentication"]["type"] for one in listeners} == {"scram-sha-512"}
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple", "superUsers": ["admin"]}


def test_an_uninstall_keeps_the_resources_that_own_the_data() -> None:
    kinds = ("Kafka", "KafkaNodePool", "KafkaTopic")
    found = rendering.of_kind(STRIMZI, *kinds)
    assert {one["kind"] for one in found} == set(kinds)
    for one in found:
        assert one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep", rendering.name_of(one)


def test_one_open_port_is_for_one_broker() -> None:
    pool = {"name": "dual", "replicas": 3, "roles": ["controller", "broker"], "jvmOptions": {"-Xmx": "320m"}}
    values = {"mode": "strimzi", "expose": {"enabled": True}, "strimzi": {"nodePools": [pool]}}
    assert "3 brokers would need one each" in rendering.template("kafka", json.dumps(values), fails=True)


def test_production_survives_the_loss_of_a_broker() -> None:
    objects = rendering.environment("production")
    brokers = sum(
        one["spec"]["replicas"]
        for one in rendering.of_kind(objects, "KafkaNodePool")
        if "broker" in one["spec"]["roles"]
    )
    controllers = sum(
        one["spec"]["replicas"]
        for one in rendering.of_kind(objects, "KafkaNodePool")
        if "controller" in one["spec"]["roles"]
    )
    assert brokers >= 3
    assert controllers >= 3
    assert controllers % 2 == 1
    for topic in rendering.of_kind(objects, "KafkaTopic"):
        assert topic["spec"]["replicas"] == 3
        assert topic["spec"]["config"]["min.insync.replicas"] == "2"
    (kafka,) = rendering.of_kind(objects, "Kafka")
    assert kafka["spec"]["kafka"]["config"]["default.replication.factor"] == 3
    assert kafka["spec"]["kafka"]["config"]["offsets.topic.replication.factor"] == 3
    assert kafka["spec"]["kafka"]["rack"]["topologyKey"] == "topology.kubernetes.io/zone"
    (spread,) = kafka["spec"]["kafka"]["template"]["pod"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
