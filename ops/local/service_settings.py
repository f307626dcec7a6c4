"""The settings that the services of a run get as environment variables."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ops.common.loopback import LOOPBACK
from ops.local.passwords import Passwords
from ops.local.postgres import SUPERUSER
from ops.local.run_folders import RunFolders

DATABASE = "crypto_analytics"
CONSUMER_GROUP = "crypto-candles"


@dataclass(frozen=True)
class TradeSource:
    """The exchange, real or simulated. ``as_of``: the services' clock in a play (ISO 8601); empty: the real one."""

    ws_url: str
    rest_url: str
    symbols: tuple[str, ...]
    stream_type: str = "trade"
    as_of: str = ""


@dataclass(frozen=True)
class Addresses:
    """The ports of the run's servers; ``api`` is 0 in the file of a run that had none."""

    kafka: int
    postgres: int
    api: int = 0


def postgres(addresses: Addresses, passwords: Passwords, role: str) -> dict[str, str]:
    """Return the settings of PostgreSQL's clients that log in as ``role``."""
    return {
        "POSTGRES_HOST": LOOPBACK,
        "POSTGRES_PORT": str(addresses.postgres),
        "POSTGRES_DB": DATABASE,
        "POSTGRES_USER": SUPERUSER if role == "superuser" else role,
        "POSTGRES_PASSWORD": asdict(passwords)[role],
        "POSTGRES_SSLMODE": "disable",  # the server listens on loopback only
    }


def role_passwords(passwords: Passwords) -> dict[str, str]:
    """Return the passwords of all roles but the superuser, for the migrations and the batch."""
    roles = ("writer", "transformer", "gate", "producer", "reader")
    return {f"{role.upper()}_PASSWORD": asdict(passwords)[role] for role in roles}


def superset(folders: RunFolders, addresses: Addresses, passwords: Passwords) -> dict[str, str]:
    """Return the settings of Superset, which logs in as ``superset`` for its own tables and as ``reader`` for ours."""
    server = postgres(addresses, passwords, "superset")
    return {
        **{name: server[name] for name in ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_SSLMODE")},
        "SUPERSET_PASSWORD": passwords.superset,
        "READER_PASSWORD": passwords.reader,
        "SUPERSET_ADMIN_PASSWORD": passwords.superset_admin,
        "SUPERSET_SECRET_KEY": passwords.superset_session,
        "SUPERSET_HOME": str(folders.superset),
        "LIVE_PAGE_URL": f"http://{LOOPBACK}:{addresses.api}/",
    }


def api(folders: RunFolders, addresses: Addresses, dashboard: str) -> dict[str, str]:
    """Return the settings of the read API, which serves on loopback only; ``dashboard``: its link, empty: none."""
    return {
        "API_HOST": LOOPBACK,
        "API_PORT": str(addresses.api),
        "API_TOKEN": os.environ.get("API_TOKEN", ""),  # of the user; no other service gets it
        "PAGE_DIR": str(folders.live_page),
        "DASHBOARD_URL": dashboard,
    }


def kafka(addresses: Addresses) -> dict[str, str]:
    """Return the settings of Kafka's clients."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{addresses.kafka}",
        "KAFKA_CONSUMER_GROUP": CONSUMER_GROUP,
        "KAFKA_GROUP_INSTANCE_ID": "consumer-1",
    }


def market(source: TradeSource) -> dict[str, str]:
    """Return the settings of the exchange, real or simulated."""
    return {
        "SYMBOLS": ",".join(source.symbols),
        "BINANCE_WS_URL": source.ws_url,
        "BINANCE_REST_URL": source.rest_url,
        "STREAM_TYPE": source.stream_type,
        "AS_OF": source.as_of,
    }


def spark(folders: RunFolders, jars: Path, ui_port: int) -> dict[str, str]:
    """Return the settings of Spark itself, which listens on loopback only."""
    return {
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(folders.spark),
        "SPARK_CHECKPOINT_DIR": str(folders.spark),
        "SPARK_UI_PORT": str(ui_port),
        "SPARK_JARS_DIR": str(jars),
    }


def objects(folders: RunFolders) -> dict[str, str]:
    """Return the settings of the object store."""
    return {"OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(folders.objects)}


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a run, without secrets; ``simulator``: the simulator's environment, empty for LIVE."""

    source: TradeSource
    addresses: Addresses
    simulator: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Write it for ``make batch``, ``make status`` and ``make psql``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"feed": asdict(self.source), "addresses": asdict(self.addresses), "simulator": dict(self.simulator)}
        path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the configuration at ``path``. Raises FileNotFoundError."""
        content = json.loads(path.read_text())
        source = TradeSource(**{**content["feed"], "symbols": tuple(content["feed"]["symbols"])})
        return cls(source, Addresses(**content["addresses"]), content["simulator"])
