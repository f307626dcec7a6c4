"""The ports on 127.0.0.1 that are mapped to the kind cluster's NodePorts."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.common.settings import OpsSettings


@dataclass(frozen=True)
class ExposedPort:
    """A port: the setting that changes it, its default, and its NodePort."""

    setting: str
    default: int
    node_port: int


EXPOSED = (
    ExposedPort("KAFKA_PORT", 9092, 30092),
    ExposedPort("POSTGRES_PORT", 5432, 30432),
    ExposedPort("MINIO_PORT", 9000, 30900),
    ExposedPort("MINIO_CONSOLE_PORT", 9001, 30901),
    ExposedPort("AIRFLOW_PORT", 8080, 30808),
    ExposedPort("SUPERSET_PORT", 8088, 30888),
    ExposedPort("SPARK_UI_PORT", 4040, 30404),
    ExposedPort("API_PORT", 8000, 30800),
    ExposedPort("PROMETHEUS_PORT", 9090, 30990),
    ExposedPort("ALERTMANAGER_PORT", 9093, 30993),
    ExposedPort("GRAFANA_PORT", 3300, 30300),
    ExposedPort("SIM_PORT", 8899, 30899),
)


def requested(settings: OpsSettings) -> dict[str, int]:
    """Return the ports that the user has set, by setting."""
    named = {port.setting: getattr(settings, port.setting) for port in EXPOSED}
    return {setting: number for setting, number in named.items() if number is not None}


def effective(settings: OpsSettings, bound: Mapping[int, int] | None = None) -> dict[str, int]:
    """Return every port by setting: bound by the cluster (``bound``, by NodePort), set by the user, or the default."""
    held, named = bound or {}, requested(settings)
    return {port.setting: held.get(port.node_port, named.get(port.setting, port.default)) for port in EXPOSED}


def mapped(settings: OpsSettings, bound: Mapping[int, int] | None = None) -> dict[str, int]:
    """Return the ports that lead to the platform: of kind's cluster (``bound``) only those that it was created with."""
    numbers = effective(settings, bound)
    return {port.setting: numbers[port.setting] for port in EXPOSED if bound is None or port.node_port in bound}


def conflicts(settings: OpsSettings, bound: Mapping[int, int]) -> dict[str, tuple[int, int]]:
    """Return ``{setting: (requested, bound)}`` where the requested port differs from the cluster's."""
    named = requested(settings)
    return {
        port.setting: (named[port.setting], bound[port.node_port])
        for port in EXPOSED
        if port.setting in named and port.node_port in bound and named[port.setting] != bound[port.node_port]
    }
