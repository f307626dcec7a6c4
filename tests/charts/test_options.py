"""Every environment and variant with each optional value on and off: rules, policies, definitions and effects."""

from collections.abc import Iterator
from itertools import combinations as choices
from itertools import product

import pytest

from tests.charts import connections, openings
from tests.charts.custom_resources import problems as definition_problems
from tests.charts.optional_values import OPTIONS, Combination, combinations
from tests.charts.rendering import SITUATIONS, Object, environment, name_of, of_kind, pods
from tests.charts.rules import problems as rule_problems

COMBINATIONS = list(combinations())
PULL_SECRETS = [{"name": "registry"}]


def test_each_option_is_on_and_off_in_every_situation_and_meets_every_other_one() -> None:
    for situation, option in product(SITUATIONS, OPTIONS):
        found = {one.on[option] for one in COMBINATIONS if one.situation == situation}
        assert found == ({False} if option == "exposed" and situation.startswith("production") else {False, True})
    for first, second in choices(OPTIONS, 2):
        assert {(one.on[first], one.on[second]) for one in COMBINATIONS} == set(product((False, True), repeat=2))


def _pull_secrets(objects: tuple[Object, ...]) -> Iterator[object]:
    """Yield the pull secrets of every pod, also of those that operators create."""
    for _, pod in pods(objects):
        yield pod["spec"].get("imagePullSecrets", [])
    for application in of_kind(objects, "SparkApplication"):
        yield [{"name": name} for name in application["spec"].get("imagePullSecrets", [])]
    for kafka in of_kind(objects, "Kafka"):
        for part in ("kafka", "entityOperator"):
            yield kafka["spec"][part]["template"].get("pod", {}).get("imagePullSecrets", [])


@pytest.mark.parametrize(
    "combination",
    [pytest.param(one, id=f"{one.situation}: {', '.join(name for name in one.on if one.on[name])}")
     for one in COMBINATIONS],
)  # fmt: skip
def test_a_combination_keeps_the_rules_and_each_option_counts(combination: Combination) -> None:
    situation, on = combination
    values = combination.values()
    objects = environment(situation, values)

    assert rule_problems(objects) == []
    assert definition_problems(objects) == []
    names = [name_of(one) for one in objects]
    assert sorted(names) == sorted(set(names))

    monitored = {one["metadata"]["name"] for one in of_kind(objects, "PodMonitor")}
    assert ("producer" in monitored) is on["scraped"]
    if on["policies"]:
        assert connections.problems(objects) == []
        assert openings.found(objects) == openings.wanted(situation, objects, values)
    else:
        assert of_kind(objects, "NetworkPolicy") == []
    exposing = [one for one in of_kind(objects, "Service") if one["spec"].get("type") == "NodePort"]
    assert bool(exposing) is on["exposed"]
    assert [found for found in _pull_secrets(objects) if found != (PULL_SECRETS if on["pull secrets"] else [])] == []
    unlabelled = [name_of(one) for one in objects if one["metadata"]["labels"].get("team") != "market-data"]
    assert bool(unlabelled) is not on["labels"]
    for kafka in of_kind(objects, "Kafka"):
        assert ("rack" in kafka["spec"]["kafka"]) is on["rack"]
    servers = {one["metadata"]["name"] for one in of_kind(objects, "StatefulSet", "Deployment")}
    assert ("postgres" in servers) is not on["PostgreSQL outside"]
    assert ("prometheus" in servers) is on["monitoring"]
    assert ("grafana" in servers) is (on["monitoring"] and on["Grafana"])
    s3_server = {"versitygw" if on["versitygw"] else "minio"} if not on["S3 outside"] else set()
    assert servers & {"minio", "versitygw"} == s3_server
    assert ("simulator" in servers) is not on["exchange"]
    assert bool(of_kind(objects, "Secret")) is on["Secrets"]
    registries = {
        container["image"].partition("/")[0]
        for _, pod in pods(objects)
        for container in pod["spec"]["containers"]
        if "image" in container
    }
    assert ("mirror.example.com" in registries) is on["registry"]
