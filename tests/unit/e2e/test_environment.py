"""What the end-to-end tests conclude from the cluster's objects: the modes, the exchange, the facts of each mode."""

from dataclasses import replace
from typing import Any

import pytest

from ops.common.errors import Problem
from ops.kubernetes import helmfile, kind_cluster
from ops.platform import make_command
from tests.e2e import environment
from tests.e2e.environment import InstalledEnvironment, find, observed
from tests.e2e.outside_exchange import CONTAINER, OutsideExchange, next_command, values
from tests.unit.e2e.stand_ins import (
    FakeApi,
    Object,
    deployment,
    producer,
    spark_application,
    stateful_set,
    strimzi_pod_set,
)

SIMULATED = producer("ws://simulator:8899", "http://simulator:8899")
OUTSIDE = producer(f"ws://{CONTAINER}:9443", f"http://{CONTAINER}:9443")
LITE = [*SIMULATED, *stateful_set("kafka"), *deployment("consumer")]
DEFAULT = [*OUTSIDE, *strimzi_pod_set(), *spark_application()]


def of(objects: list[Object], last: dict[str, Any] | None = None) -> InstalledEnvironment:
    return observed(FakeApi(objects).read, "python", last or {})


def test_the_kind_of_kafka_tells_the_environment() -> None:
    assert (of(LITE).name, of(LITE).kafka, of(LITE).simulates) == ("lite", "kraft", True)
    assert (of(DEFAULT).name, of(DEFAULT).kafka, of(DEFAULT).simulates) == ("default", "strimzi", False)


def test_the_last_make_up_names_the_environment_and_the_values() -> None:
    found = of(LITE, {"environment": "default", "values": "/mine.yaml"})
    assert (found.name, found.values, found.kafka) == ("default", "/mine.yaml", "kraft")


def test_without_a_producer_nothing_is_installed() -> None:
    with pytest.raises(LookupError, match="no producer"):
        of(stateful_set("kafka"))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace helmfile by these values of its releases, and the last ``make up`` by none."""
    exchange = {"BINANCE_WS_URL": f"ws://{CONTAINER}:9443"}
    found: dict[str, Any] = {
        "producer": {"settings": exchange},
        "kafka": {"mode": "strimzi"},
        "batch": {"components": {"exporter": {"settings": {"S3_ENDPOINT": "minio:9000"}}}},
        "spark-candles": {"mode": "operator"},
    }
    monkeypatch.setattr(helmfile, "values", lambda *_, **__: found)
    monkeypatch.setattr(kind_cluster, "node", lambda: None)
    monkeypatch.setattr(environment, "load_last_up", dict)
    return found


def test_sparks_mode_is_that_of_the_environments_files(planned: dict[str, Any]) -> None:
    assert find(FakeApi(DEFAULT).read, "both").spark == "operator"
    planned["spark-candles"]["mode"] = "pod"
    assert find(FakeApi(DEFAULT).read, "both").spark == "pod"


@pytest.mark.parametrize(
    ("release", "wrong"), [("producer", {"settings": {"BINANCE_WS_URL": "ws://x"}}), ("kafka", {"mode": "kraft"})]
)
def test_an_environment_that_is_not_the_installed_one_is_refused(
    planned: dict[str, Any], release: str, wrong: dict[str, Any]
) -> None:
    planned[release] = wrong
    with pytest.raises(Problem, match="cannot change"):
        find(FakeApi(DEFAULT).read, "python")


def test_a_record_of_another_cluster_is_not_used(planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = {"context": "mine", "environment": "production", "values": "/mine.yaml"}
    monkeypatch.setattr(environment, "load_last_up", lambda: elsewhere)
    found = find(FakeApi(DEFAULT).read, "python")
    assert (found.name, found.values) == ("default", "")


def test_helmfile_keeps_the_exchange_and_the_ports() -> None:
    lite = replace(of(LITE), ports={"KAFKA_PORT": 19092})
    assert lite.variables("spark") == {
        "KUBE_CONTEXT": "kind-crypto-analytics",
        "VARIANT": "spark",
        "KAFKA_PORT": "19092",
        "FEED": "simulator",
    }
    assert {
        key: its for key, its in of(DEFAULT).variables("python").items() if key not in lite.variables("python")
    } == {
        "BINANCE_WS_URL": f"ws://{CONTAINER}:9443",
        "BINANCE_REST_URL": f"http://{CONTAINER}:9443",
    }


LITE_FACTS = InstalledEnvironment("lite", "", "kraft", "pod", "python", "ws://simulator:8899", "")
DEFAULT_FACTS = InstalledEnvironment("default", "", "strimzi", "operator", "python", "ws://elsewhere", "")


def test_lite_has_one_account_with_a_role_and_one_container_with_a_token() -> None:
    for variant in ("python", "spark", "both"):
        facts = replace(LITE_FACTS, variant=variant)
        assert facts.role_bindings == {"airflow": "airflow"}
        assert facts.cluster_role_bindings == {}
        assert facts.custom_resources == frozenset()
        components = ("kafka", "producer", "spark-candles", "entity-operator", *facts.others)
        assert {name: facts.confinement(name).tokens for name in components if facts.confinement(name).tokens} == {
            "airflow": {"scheduler"}
        }
        assert {facts.confinement(name).user for name in components} == {None, 185}


def test_strimzi_has_its_own_user_tokens_and_accounts() -> None:
    broker = DEFAULT_FACTS.confinement("kafka")
    assert (broker.user, broker.group, broker.tokens) == (1001, 0, {"kafka", "kafka-init"})
    assert DEFAULT_FACTS.others[-2:] == ("strimzi-operator", "entity-operator")
    assert DEFAULT_FACTS.jobs == ("migrate", "buckets")
    assert DEFAULT_FACTS.owners("kafka") != LITE_FACTS.owners("kafka")
    assert set(DEFAULT_FACTS.role_bindings.values()) == {
        "airflow", "strimzi-cluster-operator", "crypto-kafka", "crypto-entity-operator",
    }  # fmt: skip


def test_the_spark_operator_is_there_with_spark_only() -> None:
    both = replace(DEFAULT_FACTS, variant="both")
    assert set(both.others) - set(DEFAULT_FACTS.others) == {"spark-operator"}
    assert set(both.role_bindings) - set(DEFAULT_FACTS.role_bindings) == {
        "spark-operator-controller", "spark-operator-webhook", "spark-operator-spark",
    }  # fmt: skip
    assert both.custom_resources - DEFAULT_FACTS.custom_resources == {"SparkApplication"}
    driver, executor = both.confinement("spark-candles"), both.confinement("spark-candles-executor")
    assert (driver.tokens, driver.automount) == ({"spark-kubernetes-driver"}, True)
    assert (executor.tokens, executor.automount) == (frozenset(), False)
    assert both.memory_limits.spark > replace(LITE_FACTS, variant="both").memory_limits.spark


def test_memory_limits_grow_with_what_runs() -> None:
    order = [
        LITE_FACTS,
        replace(LITE_FACTS, variant="spark"),
        replace(LITE_FACTS, variant="both"),
        replace(DEFAULT_FACTS, variant="spark"),
        replace(DEFAULT_FACTS, variant="both"),
    ]
    limits = [facts.memory_limits.all for facts in order]
    assert limits == sorted(set(limits))
    assert LITE_FACTS.memory_limits[:2] == pytest.approx((1.3, 2.6))


def test_only_a_simulator_can_be_steered() -> None:
    assert OutsideExchange.at(f"ws://{CONTAINER}:9443")
    with pytest.raises(Problem, match="cannot steer"):
        OutsideExchange.at("wss://stream.binance.com:9443")


def test_the_next_command_after_the_outside_exchange_installs_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_command, "load_last_up", dict)
    values_file = "VALUES=.platform/e2e-exchange.yaml"
    assert next_command({"KUBE_CONTEXT": ""}) == f"make up ENV=default {values_file}"
    assert next_command({"ENV": "lite", "VALUES": "mine.yaml"}) == f"make up ENV=lite {values_file}"


def test_the_network_of_the_outside_exchange_is_opened() -> None:
    network = '[{"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}, {"Subnet": "fc00::/64"}]}}]'
    assert values(network) == {
        "feed": "binance",
        "binanceWsUrl": f"ws://{CONTAINER}:9443",
        "binanceRestUrl": f"http://{CONTAINER}:9443",
        "binanceCidrs": ["172.18.0.0/16", "fc00::/64"],
    }
