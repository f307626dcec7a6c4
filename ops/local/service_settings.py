"""The environment variables that the services of a run get: the settings of the contract, for this machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ops.common.loopback import LOOPBACK
from ops.local.passwords import Passwords
from ops.local.postgres import SUPERUSER
from ops.local.run_folders import Layout

DATABASE = "crypto_analytics"
CONSUMER_GROUP = "crypto-candles"


@dataclass(frozen=True)
class Feed:
    """Where the trades come from. ``as_of`` is the clock of a play (ISO 8601), empty where it is the real one."""

    ws_url: str
    rest_url: str
    symbols: tuple[str, ...]
    stream_type: str = "trade"
    as_of: str = ""


@dataclass(frozen=True)
class Addresses:
    """The ports of the run."""

    kafka: int
    postgres: int


def postgres(addresses: Addresses, passwords: Passwords, role: str) -> dict[str, str]:
    """Return the settings of who logs in as ``role``."""
    return {
        "POSTGRES_HOST": LOOPBACK,
        "POSTGRES_PORT": str(addresses.postgres),
        "POSTGRES_DB": DATABASE,
        "POSTGRES_USER": SUPERUSER if role == "superuser" else role,
        "POSTGRES_PASSWORD": asdict(passwords)[role],
        "POSTGRES_SSLMODE": "disable",  # the server listens on loopback only
    }


def role_passwords(passwords: Passwords) -> dict[str, str]:
    """Return the passwords of the roles for who sets them, or logs others in; never the superuser's."""
    roles = ("writer", "transformer", "gate", "producer", "reader")
    return {f"{role.upper()}_PASSWORD": asdict(passwords)[role] for role in roles}


def superset(layout: Layout, addresses: Addresses, passwords: Passwords) -> dict[str, str]:
    """Return the settings of Superset, which logs in as ``superset`` for its own tables and as ``reader`` for ours."""
    server = postgres(addresses, passwords, "superset")
    return {
        **{name: server[name] for name in ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_SSLMODE")},
        "SUPERSET_PASSWORD": passwords.superset,
        "READER_PASSWORD": passwords.reader,
        "SUPERSET_ADMIN_PASSWORD": passwords.superset_admin,
        "SUPERSET_SECRET_KEY": passwords.superset_session,
        "SUPERSET_HOME": str(layout.superset),
    }


def kafka(addresses: Addresses) -> dict[str, str]:
    """Return the settings of Kafka's clients."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{addresses.kafka}",
        "KAFKA_CONSUMER_GROUP": CONSUMER_GROUP,
        "KAFKA_GROUP_INSTANCE_ID": "consumer-1",
    }


def market(feed: Feed) -> dict[str, str]:
    """Return the settings that lead to the exchange, or to the simulator."""
    return {
        "SYMBOLS": ",".join(feed.symbols),
        "BINANCE_WS_URL": feed.ws_url,
        "BINANCE_REST_URL": feed.rest_url,
        "STREAM_TYPE": feed.stream_type,
        "AS_OF": feed.as_of,
    }


def spark(layout: Layout, jars: Path, ui_port: int) -> dict[str, str]:
    """Return the settings of Spark itself, which listens on loopback only."""
    return {
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(layout.spark),
        "SPARK_CHECKPOINT_DIR": str(layout.spark),
        "SPARK_UI_PORT": str(ui_port),
        "SPARK_JARS_DIR": str(jars),
    }


def objects(layout: Layout) -> dict[str, str]:
    """Return the settings of the object store."""
    return {"OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(layout.objects)}


@dataclass(frozen=True)
class Setup:
    """How a run is configured, without secrets; ``simulator`` is that program's environment, empty for LIVE."""

    feed: Feed
    addresses: Addresses
    simulator: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Keep it for ``make batch``, ``make status`` and ``make psql``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what was kept. Raises FileNotFoundError."""
        kept = json.loads(path.read_text())
        feed = Feed(**{**kept["feed"], "symbols": tuple(kept["feed"]["symbols"])})
        return cls(feed, Addresses(**kept["addresses"]), kept["simulator"])
