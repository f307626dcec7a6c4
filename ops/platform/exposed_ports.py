"""The ports on 127.0.0.1 through which the cluster is reached, and who has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.common.settings import OpsSettings


@dataclass(frozen=True)
class ExposedPort:
    """A setting that moves a port, the port without it, and the NodePort behind it."""

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
    ExposedPort("SIM_PORT", 8899, 30899),
)


def asked(settings: OpsSettings) -> dict[str, int]:
    """Return the ports that the user names, by setting."""
    named = {port.setting: getattr(settings, port.setting) for port in EXPOSED}
    return {setting: number for setting, number in named.items() if number is not None}


def effective(settings: OpsSettings, bound: Mapping[int, int] | None = None) -> dict[str, int]:
    """Return every port by setting: what the cluster has bound (by NodePort), else what is asked, else the default."""
    held, named = bound or {}, asked(settings)
    return {port.setting: held.get(port.node_port, named.get(port.setting, port.default)) for port in EXPOSED}


def moved_too_late(settings: OpsSettings, bound: Mapping[int, int]) -> dict[str, tuple[int, int]]:
    """Return the settings that ask for another port than the cluster has: ``{setting: (asked, bound)}``."""
    named = asked(settings)
    return {
        port.setting: (named[port.setting], bound[port.node_port])
        for port in EXPOSED
        if port.setting in named and port.node_port in bound and named[port.setting] != bound[port.node_port]
    }
