"""The environment that is installed in the cluster, and every fact in which environments differ.

Kafka is a StatefulSet or Strimzi's; Spark is a Deployment or a SparkApplication with its executors; trades come from
the simulator in the cluster or from an exchange outside. The other modules ask this one and know no environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ops.common.candle_variant import Variant
from ops.common.settings import KIND_CONTEXT, Environment, OpsSettings
from ops.kubernetes import helmfile, kind_cluster
from ops.kubernetes.upgrade_check import Installed, check_unchanged, planned
from ops.platform import kind_node_ports
from ops.platform.state_folder import load_last_up
from tests.e2e.platforms import MemoryLimits, memory_limits
from tests.e2e.workloads import DRIVER, EXECUTOR, Read, component, settings

MONITORING = ("prometheus", "alertmanager", "postgres-exporter")
SIMULATOR_URL = "ws://simulator:8899"


@dataclass(frozen=True)
class Confinement:
    """The ids of a component's processes (None: large ones of our own), and its containers with an API token.

    ``automount``: the token is mounted by Kubernetes, not by a volume of the pod's definition.
    """

    user: int | None = None
    group: int | None = None
    tokens: frozenset[str] = frozenset()
    automount: bool = False


@dataclass(frozen=True)
class InstalledEnvironment:
    """An environment of helmfile as it is installed: its name, the user's values file, the modes and the exchange."""

    name: Environment
    values: str
    kafka: Literal["kraft", "strimzi"]
    spark: Literal["pod", "operator"]
    variant: Variant
    ws_url: str
    rest_url: str
    ports: Mapping[str, int] = field(default_factory=dict)
    monitored: bool = False

    @property
    def simulates(self) -> bool:
        """Whether the exchange is the simulator in the cluster."""
        return self.ws_url == SIMULATOR_URL

    @property
    def has_spark_operator(self) -> bool:
        """Whether the Spark operator is installed."""
        return self.spark == "operator" and self.variant != "python"

    def variables(self, variant: Variant) -> dict[str, str]:
        """Return the environment variables with which helmfile keeps what is installed, with ``variant``."""
        feed = "simulator" if self.simulates else "binance"
        exchange = {} if self.simulates else {"BINANCE_WS_URL": self.ws_url, "BINANCE_REST_URL": self.rest_url}
        return helmfile.variables(KIND_CONTEXT, variant, self.ports) | {"FEED": feed} | exchange

    def helmfile(self, *action: str) -> list[str]:
        """Return helmfile's command line for this environment."""
        return helmfile.command(self.name, KIND_CONTEXT, *action, own=self.values)

    @property
    def others(self) -> tuple[str, ...]:
        """Return the components that run beside the streaming ones."""
        strimzi = ("strimzi-operator", "entity-operator") if self.kafka == "strimzi" else ()
        monitoring = MONITORING if self.monitored else ()
        return ("airflow", "superset", *monitoring, *strimzi, *(("spark-operator",) if self.has_spark_operator else ()))

    def owners(self, name: str) -> tuple[str, ...]:
        """Return the kinds of objects that may own the pods of component ``name``."""
        if name == "kafka" and self.kafka == "strimzi":
            return ("strimzipodsets.core.strimzi.io",)
        if name == DRIVER and self.spark == "operator":
            return ("sparkapplications.sparkoperator.k8s.io",)
        return ("deployments", "statefulsets")

    @property
    def jobs(self) -> tuple[str, ...]:
        """Return the jobs that reconcile a server. Strimzi reconciles Kafka's topics itself."""
        return ("migrate", "buckets", *(("topics",) if self.kafka == "kraft" else ()))

    @property
    def custom_resources(self) -> frozenset[str]:
        """Return the kinds of the operators' resources that report whether they are ready."""
        strimzi = {"Kafka", "KafkaTopic", "KafkaUser"} if self.kafka == "strimzi" else set()
        return frozenset(strimzi | ({"SparkApplication"} if self.has_spark_operator else set()))

    @property
    def memory_limits(self) -> MemoryLimits:
        """Return the limits of memory at rest: those of plain components, and what Strimzi and executors add."""
        plain = memory_limits(self.variant)
        brokers, operators = (0.2, 0.6) if self.kafka == "strimzi" else (0.0, 0.0)
        executors, spark_operator = (0.7, 0.1) if self.has_spark_operator else (0.0, 0.0)
        streaming = plain.streaming + brokers + executors
        return MemoryLimits(
            streaming, plain.all + brokers + executors + operators + spark_operator, plain.spark + executors
        )

    def confinement(self, name: str) -> Confinement:
        """Return what restricts the containers of component ``name``."""
        strimzi = {
            "kafka": {"kafka", "kafka-init"},
            "entity-operator": {"topic-operator", "user-operator"},
            "strimzi-operator": {"strimzi-cluster-operator"},
        }
        if self.kafka == "strimzi" and name in strimzi:
            return Confinement(1001, 0, frozenset(strimzi[name]))
        spark_operator = {
            DRIVER: {"spark-kubernetes-driver"},
            EXECUTOR: set(),
            "spark-operator": {"spark-operator-controller", "spark-operator-webhook"},
        }
        if self.spark == "operator" and name in spark_operator:
            tokens = frozenset(spark_operator[name])
            return Confinement(185, 185, tokens, automount=bool(tokens))
        if name == DRIVER:
            return Confinement(185, 185)
        return Confinement(tokens=frozenset({"scheduler"} if name == "airflow" else ()))

    @property
    def role_bindings(self) -> dict[str, str]:
        """Return the service account of each RoleBinding of the namespace, by the binding's name."""
        strimzi = {
            "strimzi-cluster-operator": "strimzi-cluster-operator",
            "strimzi-cluster-operator-entity-operator-delegation": "strimzi-cluster-operator",
            "strimzi-cluster-operator-leader-election": "strimzi-cluster-operator",
            "strimzi-cluster-operator-watched": "strimzi-cluster-operator",
            "crypto-kafka-role": "crypto-kafka",
            "crypto-entity-topic-operator-role": "crypto-entity-operator",
            "crypto-entity-user-operator-role": "crypto-entity-operator",
        }
        spark = {name: name for name in ("spark-operator-controller", "spark-operator-webhook", "spark-operator-spark")}
        return {
            "airflow": "airflow",
            **(strimzi if self.kafka == "strimzi" else {}),
            **(spark if self.has_spark_operator else {}),
        }

    @property
    def cluster_role_bindings(self) -> dict[str, str]:
        """Return the service account of each ClusterRoleBinding of an account of the namespace."""
        operator = "strimzi-cluster-operator"
        strimzi = {
            operator: operator,
            f"{operator}-kafka-broker-delegation": operator,
            f"{operator}-kafka-client-delegation": operator,
            "strimzi-crypto-analytics-crypto-kafka-init": "crypto-kafka",  # reads the node's labels
        }
        spark = {name: name for name in ("spark-operator-controller", "spark-operator-webhook")}
        return (strimzi if self.kafka == "strimzi" else {}) | (spark if self.has_spark_operator else {})


def find(read: Read, variant: Variant) -> InstalledEnvironment:
    """Return the installed environment: of the last ``make up``, otherwise the one with the installed kind of Kafka.

    Raises:
        LookupError: there is no producer.
        Problem: that environment has another exchange or kind of Kafka than the cluster.
    """
    last = load_last_up()
    node = kind_cluster.node()
    assumed = observed(read, variant, last if last.get("context") == KIND_CONTEXT else {})
    ports = kind_node_ports.effective(OpsSettings(), node.bound if node else None)
    assumed = replace(assumed, ports=ports)
    releases = ("producer", "kafka", "batch", "spark-candles")
    values = helmfile.values(assumed.name, KIND_CONTEXT, assumed.variables("both"), *releases, own=assumed.values)
    check_unchanged(Installed(assumed.ws_url, assumed.kafka), planned(values), KIND_CONTEXT)
    return replace(assumed, spark=values["spark-candles"]["mode"])


def observed(read: Read, variant: Variant, last: Mapping[str, Any]) -> InstalledEnvironment:
    """Return what the cluster's objects and the record of the last ``make up`` tell; Spark's mode is not among it.

    Raises:
        LookupError: there is no producer.
    """
    producers = [one for one in read("deployments") if component(one) == "producer"]
    if not producers:
        raise LookupError("the cluster has no producer")
    given = settings(producers[0]["spec"]["template"]["spec"]["containers"][0])
    stateful = {component(one) for one in read("statefulsets")}
    kafka: Literal["kraft", "strimzi"] = "kraft" if "kafka" in stateful else "strimzi"
    return InstalledEnvironment(
        name=last.get("environment") or {"kraft": "lite", "strimzi": "default"}[kafka],
        values=last.get("values") or "",
        kafka=kafka,
        spark="pod",
        variant=variant,
        ws_url=given["BINANCE_WS_URL"],
        rest_url=given["BINANCE_REST_URL"],
        monitored="prometheus" in stateful,
    )
