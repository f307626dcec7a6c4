"""Settings of the targets for Kubernetes and Compose: ``make up NAME=value``, or environment variables."""

from typing import Literal

from pydantic import Field, PositiveInt

from crypto_analytics.runtime.settings import Port, SettingsGroup
from ops.common.candle_variant import Variant

CLUSTER = "crypto-analytics"
KIND_CONTEXT = f"kind-{CLUSTER}"
NAMESPACE = "crypto-analytics"

Environment = Literal["default", "lite", "production"]


class OpsSettings(SettingsGroup):
    """Which environment is installed in which cluster, and the ports on this machine."""

    ENV: Environment = Field(
        "default",
        description="environment of helmfile.yaml: default, lite or production; without it, that of the last make up; "
        "if there was none, make up and doctor take one that fits Docker's machine",
    )
    VARIANT: Variant = Field("python", description="consumer that makes the candles: python, spark or both")
    KUBE_CONTEXT: str = Field(KIND_CONTEXT, description="context of the cluster; only kind's is created and deleted")
    VALUES: str = Field("", description="file of your own values, over those of environments/; up, load and down")
    IMAGES: Literal["built", "published"] = Field(
        "built", description="images: built on this machine, or published: those of this version's release"
    )
    UP_TIMEOUT_MINUTES: PositiveInt = Field(30, description="time limit for the releases to become ready, in minutes")
    SERVICE: str = Field("", description="component whose logs are shown; empty: all")
    YES: bool = Field(False, description="remove without asking")
    KAFKA_PORT: Port | None = Field(None, description="port of Kafka on 127.0.0.1 (9092)")
    POSTGRES_PORT: Port | None = Field(None, description="port of PostgreSQL on 127.0.0.1 (5432)")
    MINIO_PORT: Port | None = Field(None, description="port of the S3 server on 127.0.0.1 (9000)")
    MINIO_CONSOLE_PORT: Port | None = Field(None, description="port of MinIO's console on 127.0.0.1 (9001)")
    AIRFLOW_PORT: Port | None = Field(None, description="port of Airflow on 127.0.0.1 (8080)")
    SUPERSET_PORT: Port | None = Field(None, description="port of Superset on 127.0.0.1 (8088)")
    SPARK_UI_PORT: Port | None = Field(None, description="port of Spark's UI on 127.0.0.1 (4040)")
    API_PORT: Port | None = Field(None, description="port of the read API and the live page on 127.0.0.1 (8000)")
    PROMETHEUS_PORT: Port | None = Field(None, description="port of Prometheus on 127.0.0.1 (9090)")
    ALERTMANAGER_PORT: Port | None = Field(None, description="port of Alertmanager on 127.0.0.1 (9093)")
    GRAFANA_PORT: Port | None = Field(None, description="port of Grafana on 127.0.0.1 (3300)")
    SIM_PORT: Port | None = Field(None, description="port of the simulator on 127.0.0.1 (8899)")

    @property
    def is_kind(self) -> bool:
        """Whether the cluster is the kind cluster on this machine that ``make up`` creates."""
        return self.KUBE_CONTEXT == KIND_CONTEXT
