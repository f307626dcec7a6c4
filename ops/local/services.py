"""The platform's services as children of a run: consumers of the chosen variant, producer, publisher and read API."""

from ops.common.loopback import free_port
from ops.local import service_settings, superset
from ops.local.passwords import Passwords
from ops.local.programs import Program, service
from ops.local.run_folders import RunFolders
from ops.local.service_settings import Addresses, TradeSource
from ops.local.settings import DemoSettings
from ops.setup import environments, jars


def programs(
    settings: DemoSettings,
    folders: RunFolders,
    passwords: Passwords,
    source: TradeSource,
    addresses: Addresses,
    *,
    producer_metrics: int,
    superset_port: int,
) -> list[Program]:
    """Return the services in the order of their start: the producer last, so that the others see its first trade."""
    common = service_settings.market(source) | service_settings.kafka(addresses) | service_settings.objects(folders)

    def login(role: str) -> dict[str, str]:
        return common | service_settings.postgres(addresses, passwords, role)

    consumers = [_consumer(name, login("writer"), settings, folders) for name in settings.consumers]
    dashboard = superset.address(superset_port) if settings.BI else ""
    api = login("reader") | service_settings.api(folders, addresses, dashboard)
    return [
        *consumers,
        service("publisher", login("reader"), metrics_port=free_port()),
        service("api", api, metrics_port=addresses.api),  # all of it is on one port
        service("producer", login("producer"), metrics_port=producer_metrics, outside=settings.LIVE),
    ]


def _consumer(name: str, env: dict[str, str], settings: DemoSettings, folders: RunFolders) -> Program:
    if name == "consumer":
        return service(name, env, metrics_port=free_port())
    spark = service_settings.spark(folders, jars.spark_jars_dir(), settings.SPARK_UI_PORT)
    return service(name, env | spark, metrics_port=free_port(), python=environments.python_of("spark"))
