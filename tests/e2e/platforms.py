"""The operations on a platform that the streaming tests need; implemented in ``kubernetes.py`` and ``compose.py``.

Components are ``kafka``, ``postgres``, ``producer``, the S3 server (``minio``, or ``versitygw`` where the variable
OBJECT_STORE_SERVER names it), ``simulator`` where the exchange is a component, those that merge trades (``consumer``,
``spark-candles``, or both), and ``publisher`` and ``api``, which read what is merged.
"""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import httpx
import psycopg
from pydantic import SecretStr

from crypto_analytics.runtime.settings import KafkaSettings, ObjectStoreSettings, PostgresSettings
from crypto_analytics.store.objects import ObjectStore, open_store
from crypto_analytics.store.postgres import connect
from ops.common.candle_variant import MERGERS, Variant
from ops.common.loopback import LOOPBACK
from ops.local.postgres import SUPERUSER
from ops.platform.airflow import Airflow, has_ended
from tests.e2e.exchange import Exchange
from tests.e2e.waiting import wait_until

BATCH_SECONDS = 600.0  # a running task may still be retried
UPSTREAM = ("kafka", "postgres", os.environ.get("OBJECT_STORE_SERVER") or "minio", "producer")
READERS = ("publisher", "api")
Server = Literal["kafka", "postgres", "minio", "simulator", "airflow", "superset", "api", "prometheus"]


class MemoryLimits(NamedTuple):
    """Limits of memory at rest in GB: of the streaming components, of all, and of Spark with its executors."""

    streaming: float
    all: float
    spark: float


def memory_limits(variant: Variant) -> MemoryLimits:
    """Return the limits without operators; Spark's pod has a higher one than the consumer."""
    merging = {"python": 0.3, "spark": 1.0, "both": 1.3}[variant]
    return MemoryLimits(1.0 + merging, 2.3 + merging, 1.0)


class Platform(ABC):
    """A running platform, reached through its ports on 127.0.0.1, and the operations on it."""

    name: str

    def __init__(self, variant: Variant, exchange: Exchange) -> None:
        self.variant = variant
        self.exchange = exchange
        self.mergers = MERGERS[variant]
        self.streaming = (*UPSTREAM, *exchange.components, *self.mergers, *READERS)
        # Neither changes, and the platform cannot answer while it restarts.
        self.port = cache(self.find_port)
        self.password = cache(self.find_password)

    @abstractmethod
    def find_port(self, server: Server) -> int:
        """Return the port of this machine that leads to ``server``."""

    @abstractmethod
    def find_password(self, server: Server, user: str) -> str:
        """Return the generated password of ``user`` on ``server``."""

    @abstractmethod
    def instances(self, component: str) -> frozenset[str]:
        """Return an id of the present run of each ready container of ``component``; a restart changes it."""

    @abstractmethod
    def is_settled(self, component: str) -> bool:
        """Return whether ``component`` runs as defined: all its instances are ready, and no older one is left."""

    @abstractmethod
    def kill(self, component: str) -> None:
        """Kill ``component`` without a warning; the platform restarts it."""

    @abstractmethod
    def change(self, component: str, *, settings: Mapping[str, str] | None = None, tag: str | None = None) -> None:
        """Roll out ``component`` with other settings or another image tag; returns when it is ready."""

    @abstractmethod
    def change_back(self, *components: str) -> None:
        """Roll out ``components`` as before their first :meth:`change`; does nothing for unchanged ones."""

    @abstractmethod
    def merge_by(self, variant: Variant, symbols: Sequence[str]) -> None:
        """Switch the merging of ``symbols`` to ``variant``, as ``make up VARIANT=…`` does; returns when it is ready.

        The components of other variants are removed then, and changed components are as defined again.
        """

    @abstractmethod
    def second_tag(self, component: str) -> str:
        """Add a second tag to the image of ``component`` in the platform's image store, and return it."""

    @abstractmethod
    def run_batch(self) -> None:
        """Run the batch once and wait for its end."""

    @abstractmethod
    def restart(self) -> None:
        """Restart all components at once, like a reboot of the machine."""

    @abstractmethod
    def memory(self) -> dict[str, float]:
        """Return the working set of each component in MiB, at least of the streaming ones."""

    @abstractmethod
    def log_command(self, component: str) -> list[str]:
        """Return the command that prints and follows the log of the running ``component`` until its end."""

    @abstractmethod
    def diagnosis(self) -> str:
        """Return information about a failure: states, events and the last lines of logs."""

    # The methods below are the same on every platform, but for the limits of one with operators.

    @property
    def memory_limits(self) -> MemoryLimits:
        """Return the limits of memory at rest."""
        return memory_limits(self.variant)

    def postgres(self, role: str, password: str | None = None) -> psycopg.Connection:
        """Return a connection of ``role`` ("superuser" or one of the three); ``password`` replaces the right one."""
        user = SUPERUSER if role == "superuser" else role
        settings = PostgresSettings(
            POSTGRES_HOST=LOOPBACK,
            POSTGRES_PORT=self.port("postgres"),
            POSTGRES_USER=user,
            POSTGRES_PASSWORD=SecretStr(password or self.password("postgres", role)),
        )
        return connect(settings, "e2e")

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return Prometheus's answer to an instant query: the labels and the value of each series."""
        url = f"http://{LOOPBACK}:{self.port('prometheus')}/api/v1/query"
        answer = httpx.get(url, params={"query": expression}, timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        result = answer.json()["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def kafka(self, user: str, password: str | None = None) -> KafkaSettings:
        """Return the settings of a client that logs in as ``user``."""
        return KafkaSettings(
            KAFKA_BOOTSTRAP_SERVERS=f"{LOOPBACK}:{self.port('kafka')}",
            KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA_SASL_USERNAME=user,
            KAFKA_SASL_PASSWORD=SecretStr(password or self.password("kafka", user)),
        )

    def objects(self, user: str, password: str | None = None) -> ObjectStore:
        """Return the object store with the login of ``user``."""
        settings = ObjectStoreSettings(
            OBJECT_STORE="s3",
            S3_ENDPOINT=f"{LOOPBACK}:{self.port('minio')}",
            S3_SECURE=False,
            S3_ACCESS_KEY=user,
            S3_SECRET_KEY=SecretStr(password or self.password("minio", user)),
        )
        return open_store(settings)

    def wait_settled(self, *components: str, seconds: float = 180) -> None:
        """Wait until ``components`` are settled."""
        for component in components:
            wait_until(partial(self.is_settled, component), seconds, f"{component} is ready", every=1)

    def wait_replaced(self, component: str, before: frozenset[str], seconds: float = 180) -> None:
        """Wait until ``component`` is settled and has none of the instances ``before``."""

        def replaced() -> bool:
            return self.is_settled(component) and self.instances(component).isdisjoint(before)

        wait_until(replaced, seconds, f"{component} is replaced and ready", every=1)

    def airflow(self, password: str | None = None) -> Airflow:
        """Return a client of Airflow's API with the admin's login, once the API answers.

        Nodes forward to a pod somewhat later than it is ready; after a restart of everything it takes minutes.
        """
        client = Airflow(self.port("airflow"), password or self.password("airflow", "admin"))
        wait_until(client.health, 240, "Airflow answers")
        return client

    @contextmanager
    def batch_paused(self) -> Iterator[None]:
        """Pause Airflow's schedule, and wait for the end of a running run."""
        with self.airflow() as api:
            was = bool(api.pipeline()["is_paused"])
            api.pause(paused=True)
        try:
            with self.airflow() as api:
                self.wait_no_run(api)
            yield
        finally:
            wait_until(lambda: self._pause(paused=was), 240, "Airflow takes the change", every=2)

    def _pause(self, *, paused: bool) -> bool:
        with self.airflow() as api:
            api.pause(paused=paused)
        return True

    def wait_no_run(self, api: Airflow) -> None:
        """Wait until no run is running. A paused pipeline neither starts a run nor finishes a running one."""
        while open_runs := api.runs("running", "queued"):
            api.pause(paused=False)
            wait_until(lambda ids=open_runs: all(has_ended(api.run(its["dag_run_id"])) for its in ids), BATCH_SECONDS,
                       "the runs that go on end", every=2)  # fmt: skip
            api.pause(paused=True)

    @contextmanager
    def followed_log(self, component: str) -> Iterator["FollowedLog"]:
        """Copy the log of the running ``component`` to a file from now on, so that it outlives the container."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{component}.log"
            with path.open("wb") as file:
                follower = subprocess.Popen(self.log_command(component), stdout=file, stderr=subprocess.STDOUT)
                try:
                    yield FollowedLog(path, follower)
                finally:
                    follower.terminate()
                    follower.wait(10)


class Simulator(Exchange):
    """The exchange as a component of a platform."""

    components = ("simulator",)

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def url(self) -> str:
        """See :class:`Exchange`, as for all below."""
        return f"http://{LOOPBACK}:{self._platform.port('simulator')}"

    def change(self, settings: Mapping[str, str]) -> None:
        self._platform.change("simulator", settings=settings)

    def change_back(self) -> None:
        self._platform.change_back("simulator")


class FollowedLog:
    """A copied log."""

    def __init__(self, path: Path, follower: subprocess.Popen[bytes]) -> None:
        self._path = path
        self._follower = follower

    def to_the_end(self, seconds: float = 60) -> list[str]:
        """Return all lines, after the end of their writer."""
        wait_until(lambda: self._follower.poll() is not None, seconds, "the old container's log ends")
        return self._path.read_text(errors="replace").splitlines()
