"""All custom resources satisfy the definitions of the operators' releases, and a mistake in any of them is found."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.charts.custom_resources import KINDS, problems
from tests.charts.optional_values import KAFKA, MONITORING, SPARK
from tests.charts.rendering import SITUATIONS, Object, chart, environment, of_kind

Resource = dict[str, Any]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_resources_of_every_environment_are_valid(situation: str) -> None:
    assert problems(environment(situation)) == []


@pytest.mark.parametrize(("name", "values"), [("kafka", KAFKA), ("spark-candles", SPARK), ("monitoring", MONITORING)])
def test_resources_with_every_optional_value_are_valid(name: str, values: dict[str, Any]) -> None:
    assert problems(chart(name, values)) == []


def _first(kind: str) -> Resource:
    objects: tuple[Object, ...] = (
        chart("kafka", KAFKA) + chart("spark-candles", SPARK) + chart("monitoring", MONITORING)
    )
    return deepcopy(dict(of_kind(objects, kind)[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_is_found_in_every_kind(kind: str) -> None:
    resource = _first(kind)
    resource["spec"]["replica"] = 3
    assert problems((resource,)) == [
        f"{kind} {resource['metadata']['name']}: $.spec: "
        "Additional properties are not allowed ('replica' was unexpected)"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_is_not_served_is_found_in_every_kind(kind: str) -> None:
    resource = _first(kind)
    resource["apiVersion"] = resource["apiVersion"].partition("/")[0] + "/v1alpha1"
    (problem,) = problems((resource,))
    assert "v1alpha1 is not served" in problem


def _in_kafka(kafka: Resource) -> None:
    kafka["spec"]["kafka"]["listeners"][0]["authentification"] = {"type": "scram-sha-512"}


def _in_the_entity_operator(kafka: Resource) -> None:
    kafka["spec"]["entityOperator"]["template"]["topicOperatorContainers"] = {}


def _in_a_pool(pool: Resource) -> None:
    pool["spec"]["storage"]["volumes"][0]["deleteclaim"] = True


def _in_a_user(user: Resource) -> None:
    user["spec"]["authorization"]["acls"][0]["operation"] = ["Read"]


def _in_a_topic(topic: Resource) -> None:
    topic["spec"]["partitions"] = "6"


def _in_the_driver(application: Resource) -> None:
    application["spec"]["driver"]["memoryOverHead"] = "384m"


def _in_a_template(application: Resource) -> None:
    application["spec"]["executor"]["template"]["spec"]["containers"][0]["envFrm"] = []


def _in_a_security_context(application: Resource) -> None:
    application["spec"]["driver"]["podSecurityContext"]["runAsNonroot"] = True


def _in_the_instances(application: Resource) -> None:
    application["spec"]["executor"]["instances"] = "two"


def _in_an_endpoint(monitor: Resource) -> None:
    monitor["spec"]["podMetricsEndpoints"][0]["portName"] = "metrics"


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("Kafka", _in_kafka),
        ("Kafka", _in_the_entity_operator),
        ("KafkaNodePool", _in_a_pool),
        ("KafkaTopic", _in_a_topic),
        ("KafkaUser", _in_a_user),
        ("SparkApplication", _in_the_driver),
        ("SparkApplication", _in_a_template),
        ("SparkApplication", _in_a_security_context),
        ("SparkApplication", _in_the_instances),
        ("PodMonitor", _in_an_endpoint),
    ],
)
def test_a_typo_or_a_wrong_type_is_found(kind: str, spoil: Callable[[Resource], None]) -> None:
    resource = _first(kind)
    spoil(resource)
    assert len(problems((resource,))) == 1


def test_free_form_fields_stay_free() -> None:
    kafka, application = _first("Kafka"), _first("SparkApplication")
    kafka["spec"]["kafka"]["config"]["log.cleaner.threads"] = 2
    application["spec"]["sparkConf"]["spark.sql.shuffle.partitions"] = "3"
    assert problems((kafka, application)) == []
