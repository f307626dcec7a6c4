"""Run both variants of the consumer as processes, and read all that they wrote as text, for comparison."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import psycopg

from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from ops.common import loopback
from ops.common.loopback import LOOPBACK, free_port
from ops.local import trade_counts
from tests.integration.test_kill_nine import merged_ranges, wanted_ids
from tests.servers import Database, Servers, SimulatedExchange, service, spark

START_SECONDS = 120  # for Spark on a busy machine
_WHEN_WRITTEN = {"updated_at", "created_at", "revision"}  # the only columns that depend on the run, not on the trades
_TABLES = ("fact_realtime_trades_1m", "trade_id_ranges", "trade_id_gaps", "completeness")


@dataclass(frozen=True)
class Left:
    """All that a variant wrote: every table row by row with each column as text, and the archive's values."""

    tables: Mapping[str, list[tuple[str | None, ...]]]
    archive: list[tuple[str, str, list[bytes]]]
    """By symbol and hour."""


def left(postgres: Database, objects: Path) -> Left:
    """Read all that a variant wrote."""
    with postgres.connect() as connection:
        tables = {table: _rows(connection, table) for table in _TABLES}
        archive = RawArchive(DirectoryStore(objects), "raw")
        parts: dict[tuple[str, str], list[bytes]] = {}
        listed = connection.execute("select object_key, symbol, hour::text, value_count from raw_objects").fetchall()
        for key, symbol, hour, count in listed:
            values = archive.read(key)
            assert len(values) == count
            parts.setdefault((symbol, hour), []).extend(values)
    return Left(tables, [(*where, sorted(values)) for where, values in sorted(parts.items())])


def _rows(connection: psycopg.Connection, table: str) -> list[tuple[str | None, ...]]:
    described = connection.execute(f"select * from {table} limit 0").description
    assert described is not None
    names = [column.name for column in described if column.name not in _WHEN_WRITTEN]
    return sorted(connection.execute(f"select {', '.join(f'{name}::text' for name in names)} from {table}").fetchall())


@dataclass(frozen=True)
class Variant:
    """A variant under the supervisor."""

    name: str
    port: int
    servers: Servers

    def metric(self, name: str) -> float:
        """Return a metric of its /metrics, summed over the labels; 0 while it does not answer."""
        try:
            return trade_counts.metrics(self.port).get(name, 0.0)
        except OSError:
            return 0.0

    def consumes(self) -> bool:
        """Return whether it has merged a batch since its start."""
        return self.metric("batches_merged_total") > 0

    def is_ready(self) -> bool:
        """Return whether its readiness probe succeeds."""
        try:
            with loopback.get(f"http://{LOOPBACK}:{self.port}/readyz", 5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    def wait_until_it_is_ready(self) -> None:
        self.servers.supervisor.wait_until(self.is_ready, START_SECONDS, f"{self.name} is not ready", every=0.2)

    def wait_until_it_consumes(self) -> None:
        self.servers.supervisor.wait_until(self.consumes, START_SECONDS, f"{self.name} merges nothing", every=0.2)


def start(servers: Servers, variant: str, name: str, env: Mapping[str, str]) -> Variant:
    """Start ``variant`` ("python" or "spark") and return without waiting for it."""
    port = free_port()
    wanted = {**env, "METRICS_PORT": str(port)}
    if variant == "spark":
        program = spark(name, wanted, servers.supervisor.log_of("maven"))
    else:
        program = service(name, "consumer", wanted)
    servers.supervisor.start(replace(program, name=name))
    return Variant(name, port, servers)


@contextmanager
def running(servers: Servers, variant: str, name: str, env: Mapping[str, str]) -> Iterator[Variant]:
    """Run ``variant`` in a ``with`` block; its last batch is merged or rolled back at the end."""
    started = start(servers, variant, name, env)
    try:
        yield started
    finally:
        if servers.supervisor.is_known(name):  # the test may have stopped it before
            servers.supervisor.stop(name)


def all_is_merged(postgres: Database, exchange: SimulatedExchange) -> Callable[[], bool]:
    """Return a condition: the simulator has streamed its last trade, and every trade is merged."""

    def check() -> bool:
        if exchange.status()["state"] != "done":
            return False
        firsts, finals = wanted_ids(exchange, "first_id"), wanted_ids(exchange, "final_id")
        return sorted(merged_ranges(postgres)) == [
            (symbol, firsts[symbol], finals[symbol]) for symbol in sorted(firsts)
        ]

    return check
