"""The platform's endpoints on this machine: name, URL, login, and the pod's port behind each."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.common.loopback import LOOPBACK

READER = "reader"
AIRFLOW_ADMIN = "admin"
SUPERSET_ADMIN = "admin"
GRAFANA_ADMIN = "admin"
DASHBOARD = "/superset/dashboard/crypto/"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint. ``secret`` is the name of the password of user ``login``; empty if it needs no login.

    ``is_page`` marks the web pages that `make open` opens.
    """

    name: str
    component: str
    setting: str
    pod_port: int
    url: str
    secret: str = ""
    login: str = READER
    is_page: bool = False

    @property
    def user(self) -> str:
        """Return the user's name; empty if the endpoint needs no login."""
        return self.login if self.secret else ""


# Kafka redirects clients to its advertised listener: that of port 9094 advertises the port on this machine.
ENDPOINTS = (
    Endpoint("Live page", "api", "API_PORT", 8000, "http://{host}:{port}", is_page=True),
    Endpoint("API", "api", "API_PORT", 8000, "http://{host}:{port}/docs"),
    Endpoint("Kafka", "kafka", "KAFKA_PORT", 9094, "{host}:{port}", "KAFKA_SASL_PASSWORD"),
    Endpoint(
        "PostgreSQL",
        "postgres",
        "POSTGRES_PORT",
        5432,
        "postgresql://{host}:{port}/crypto_analytics",
        "POSTGRES_PASSWORD",
    ),
    Endpoint("MinIO (S3)", "minio", "MINIO_PORT", 9000, "http://{host}:{port}", "S3_SECRET_KEY"),
    Endpoint("Data Docs", "minio", "MINIO_PORT", 9000, "http://{host}:{port}/data-docs/site/index.html"),
    Endpoint("dbt docs", "minio", "MINIO_PORT", 9000, "http://{host}:{port}/data-docs/site/dbt/index.html"),
    Endpoint("versitygw (S3)", "versitygw", "MINIO_PORT", 9000, "http://{host}:{port}", "S3_SECRET_KEY"),
    Endpoint("Data Docs", "versitygw", "MINIO_PORT", 9000, "http://{host}:{port}/data-docs/site/index.html"),
    Endpoint("dbt docs", "versitygw", "MINIO_PORT", 9000, "http://{host}:{port}/data-docs/site/dbt/index.html"),
    Endpoint("MinIO console", "minio", "MINIO_CONSOLE_PORT", 9001, "http://{host}:{port}", "S3_SECRET_KEY"),
    Endpoint(
        "Superset",
        "superset",
        "SUPERSET_PORT",
        8088,
        f"http://{{host}}:{{port}}{DASHBOARD}",
        "SUPERSET_ADMIN_PASSWORD",
        SUPERSET_ADMIN,
        is_page=True,
    ),
    Endpoint(
        "Airflow",
        "airflow",
        "AIRFLOW_PORT",
        8080,
        "http://{host}:{port}",
        "AIRFLOW_ADMIN_PASSWORD",
        AIRFLOW_ADMIN,
        is_page=True,
    ),
    Endpoint("Prometheus", "prometheus", "PROMETHEUS_PORT", 9090, "http://{host}:{port}"),
    Endpoint("Alertmanager", "alertmanager", "ALERTMANAGER_PORT", 9093, "http://{host}:{port}/api/v2/alerts"),
    Endpoint(
        "Grafana",
        "grafana",
        "GRAFANA_PORT",
        3000,
        "http://{host}:{port}",
        "GRAFANA_ADMIN_PASSWORD",
        GRAFANA_ADMIN,
        is_page=True,
    ),
    Endpoint("Spark UI", "spark-candles", "SPARK_UI_PORT", 4040, "http://{host}:{port}"),
    Endpoint("Simulator", "simulator", "SIM_PORT", 8899, "http://{host}:{port}/healthz"),
)


def url(endpoint: Endpoint, ports: Mapping[str, int]) -> str:
    """Return the URL of an endpoint on this machine."""
    return endpoint.url.format(host=LOOPBACK, port=ports[endpoint.setting])


@dataclass(frozen=True, repr=False)
class Installation:
    """Access to a running platform from this machine: its ports by setting, its passwords, its components."""

    title: str
    ports: Mapping[str, int]
    passwords: Mapping[str, str]
    components: frozenset[str]

    @property
    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of the running components that a port of this machine leads to."""
        return [end for end in ENDPOINTS if end.component in self.components and end.setting in self.ports]
