"""Optional values, and combinations of them for every environment and variant."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from tests.charts.rendering import SITUATIONS

Values = Mapping[str, Any]

# Every optional value at once, of the charts whose custom resources are validated.
KAFKA = {
    "mode": "strimzi",
    "expose": {"enabled": True},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "extraLabels": {"team": "market-data"},
    "imagePullSecrets": ["registry"],
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpread": [{"topologyKey": "kubernetes.io/hostname"}],
    "persistence": {"storageClass": "fast"},
    "podDisruptionBudget": {"maxUnavailable": 0},
    "strimzi": {"rackTopologyKey": "topology.kubernetes.io/zone", "kafkaImage": "registry.example.com/kafka:4.3.1"},
}
SPARK = {
    "mode": "operator",
    "podMonitor": {"enabled": True},
    "imagePullSecrets": ["registry"],
    "extraLabels": {"team": "market-data"},
    "podAnnotations": {"example.com/note": "seen"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]}},
    "extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
    "extraVolumeMounts": [{"name": "authority", "mountPath": "/etc/authority", "readOnly": True}],
    "operator": {"sparkConf": {"spark.task.maxFailures": "4"}, "executors": {"instances": 6, "cores": 2}},
}  # fmt: skip
MONITORING = {
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "extraRules": {"mine.yaml": {"groups": [{"name": "mine", "rules": [{"record": "one", "expr": "vector(1)"}]}]}},
    "extraLabels": {"team": "market-data"},
}

_RACK = "topology.kubernetes.io/zone"
# Values of an environment, off and on.
OPTIONS: dict[str, tuple[Values, Values]] = {
    "scraped": ({"podMonitor": {"enabled": False}}, {"podMonitor": {"enabled": True}}),
    "policies": ({"networkPolicy": {"enabled": False}}, {"networkPolicy": {"enabled": True}}),
    "exposed": ({"expose": {"enabled": False}}, {"expose": {"enabled": True}}),
    "pull secrets": ({"imagePullSecrets": []}, {"imagePullSecrets": ["registry"]}),
    "labels": ({}, {"extraLabels": {"team": "market-data"}}),
    "rack": tuple({"releases": {"kafka": {"strimzi": {"rackTopologyKey": key}}}} for key in ("", _RACK)),
    "PostgreSQL outside": (
        {"postgres": {"installed": True, "host": "postgres"}},
        {"postgres": {"installed": False, "host": "db.example.com", "port": 6432, "cidrs": ["10.20.0.0/24"]}},
    ),
    "versitygw": ({"objectStore": {"server": "minio"}}, {"objectStore": {"server": "versitygw"}}),
    "S3 outside": (
        {},
        {"objectStore": {"server": "external", "endpoint": "s3.example.com:8443", "secure": True, "port": 8443,
                         "cidrs": ["10.30.0.0/24"]}},
    ),
    "Secrets": ({"secrets": {"create": False}}, {"secrets": {"create": True}}),
    "exchange": ({"feed": "simulator"}, {"feed": "binance"}),
    "monitoring": ({"monitoring": {"enabled": False}}, {"monitoring": {"enabled": True}}),
    "registry": ({"imageRegistry": ""}, {"imageRegistry": "mirror.example.com/x", "pullPolicy": "Always"}),
    "Grafana": ({"grafana": {"enabled": False}}, {"grafana": {"enabled": True}}),
}  # fmt: skip


class Combination(NamedTuple):
    """An environment and variant with each option on or off."""

    situation: str
    on: Mapping[str, bool]

    def values(self) -> dict[str, Any]:
        """Return the options as values of the environment."""
        return merged(*(OPTIONS[name][on] for name, on in self.on.items()))


def combinations() -> Iterator[Combination]:
    """Yield two combinations for each situation, each option off in one and on in the other.

    The options' numbers, as bits, differ in such a way that any two options are off, on and different somewhere.
    Several brokers cannot be exposed, so production never is.
    """
    for number, situation in enumerate(SITUATIONS):
        for flipped in (False, True):
            on = {name: bool(place >> (number % 5) & 1) != flipped for place, name in enumerate(OPTIONS)}
            yield Combination(situation, on | ({"exposed": False} if situation.startswith("production") else {}))


def merged(*layers: Values) -> dict[str, Any]:
    """Return the values of all layers, a later one over an earlier one, as helmfile merges them."""
    found: dict[str, Any] = {}
    for key, value in chain.from_iterable(layer.items() for layer in layers):
        nested = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if nested else value
    return found
