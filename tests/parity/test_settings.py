"""Each setting that Compose or a chart passes to a component is one of its settings, and none is missing."""

import re
from collections.abc import Mapping

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.backfill.settings import BackfillSettings
from crypto_analytics.consumer.settings import ConsumerSettings
from crypto_analytics.exporter.settings import ExporterSettings
from crypto_analytics.jobs.buckets.settings import BucketsSettings
from crypto_analytics.jobs.migrate.settings import MigrateSettings
from crypto_analytics.jobs.orphan_cleanup.settings import OrphanCleanupSettings
from crypto_analytics.jobs.topics.settings import TopicsSettings
from crypto_analytics.producer.settings import ProducerSettings
from crypto_analytics.publisher.settings import PublisherSettings
from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from exchange_simulator.settings import SimulatorSettings
from ge.settings import GateSettings
from tests.parity import charts, compose_file
from tests.parity.component import Secret
from tests.servers import ROOT

SETTINGS: dict[str, type[BaseSettings]] = {
    "migrate": MigrateSettings,
    "topics": TopicsSettings,
    "buckets": BucketsSettings,
    "simulator": SimulatorSettings,
    "producer": ProducerSettings,
    "consumer": ConsumerSettings,
    "publisher": PublisherSettings,
    "api": ApiSettings,
    "backfill-recent": BackfillSettings,
    "ge-validate": GateSettings,
    "export-lake": ExporterSettings,
    "spark-candles": SparkCandlesSettings,
    "sweep": OrphanCleanupSettings,
}

# The files in which the other components read their settings by name.
READ_IN = {
    "postgres": ("images/postgres",),
    "kafka": ("images/kafka",),
    "minio": ("images/minio",),
    "versitygw": ("images/versitygw",),
    **dict.fromkeys(("prometheus", "alertmanager", "postgres-exporter"), ("images/monitoring",)),
    "superset": ("superset",),
    "superset-prepare": ("superset",),
    "airflow": ("dags", "images/airflow"),
    "engine-proxy": ("images/engineproxy",),
    "dbt": ("dbt/profiles.yml", "dbt/macros"),
}
OF_THE_SERVER_ITSELF: dict[str, set[str]] = {
    "airflow": {
        "PGPASSWORD",
        "OTEL_SERVICE_NAME",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    },
    "minio": {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_BROWSER", "MINIO_PROMETHEUS_AUTH_TYPE", "GOMEMLIMIT"},
    **{name: {"GOMEMLIMIT", "GOGC"} for name in ("prometheus", "alertmanager", "postgres-exporter")},
}


def _group(name: str) -> str:
    return next((group for group in ("dbt", "airflow") if name.startswith(f"{group}-")), name)


PROFILES = {"core", "stream", "spark", "batch", "bi", "airflow", "monitoring", "sweep"}
COMPOSE = compose_file.components({}, PROFILES) | compose_file.components(
    {"OBJECT_STORE_SERVER": "versitygw"}, PROFILES
)


def _check(settings: type[BaseSettings], environment: Mapping[str, str | Secret]) -> None:
    """Raise the service's error at its start, or AssertionError for unknown names."""
    known = set(settings.model_fields)
    unknown = set(environment) - known
    assert not unknown, f"{settings.__name__} has no {', '.join(sorted(unknown))}"
    values = {name: "a-secret" if isinstance(value, Secret) else value for name, value in environment.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name in known:
            patch.delenv(name, raising=False)
        for name, value in values.items():
            patch.setenv(name, value)
        settings()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_accepts_its_settings(name: str) -> None:
    _check(SETTINGS[name], COMPOSE[name].environment)


def test_the_charts_hand_over_the_same() -> None:
    found = charts.components(charts.render({}), charts.host_ports({}))
    for name, settings in SETTINGS.items():
        _check(settings, found[name].environment)


def test_every_component_is_looked_at() -> None:
    assert {_group(name) for name in COMPOSE} == SETTINGS.keys() | READ_IN.keys()


@pytest.mark.parametrize("name", sorted(name for name in COMPOSE if _group(name) in READ_IN))
def test_the_other_images_read_their_settings(name: str) -> None:
    names = set(COMPOSE[name].environment) - OF_THE_SERVER_ITSELF.get(_group(name), set())
    names = {setting for setting in names if not setting.startswith("AIRFLOW__")}
    assert names <= _words(READ_IN[_group(name)])


def test_a_misspelt_or_missing_setting_is_found() -> None:
    env = dict(COMPOSE["consumer"].environment)
    with pytest.raises(AssertionError, match="has no SYMBOL"):
        _check(ConsumerSettings, env | {"SYMBOL": "BTCUSDT"})
    with pytest.raises(ValidationError, match="POSTGRES_USER"):
        _check(ConsumerSettings, {key: value for key, value in env.items() if key != "POSTGRES_USER"})
    with pytest.raises(ValidationError, match="S3_ACCESS_KEY"):
        _check(ConsumerSettings, env | {"S3_ACCESS_KEY": ""})
    assert "POSTGRES_BD" not in _words(READ_IN["postgres"])


def _words(places: tuple[str, ...]) -> set[str]:
    files = [
        path
        for place in places
        for path in ([ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*")))
        if path.is_file() and path.suffix not in {".pyc"}
    ]
    return {word for file in files for word in re.findall(r"[A-Z][A-Z0-9_]{3,}", file.read_text(errors="replace"))}
