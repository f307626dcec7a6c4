"""kill -9 of every process at random moments of a run: no trade is lost or counted twice, and no change of a candle
is missing in the candles topic.

The kills happen at random numbers of streamed trades. CHAOS_SEEDS (comma-separated) repeats or varies them.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import psycopg
import pytest

from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.candle_topic import SCHEMA, read_topic, table_messages
from tests.oracle import MEASURES, Oracle, stored_candles, stored_ids
from tests.servers import Broker, Database, Servers, SimulatedExchange, service

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1,2").split(",")]
VICTIMS = ("consumer", "producer", "publisher", "kafka", "postgres")
KILLS_EACH = 3
SYMBOLS = "BTCUSDT,ETHUSDT,BNBUSDT"
TRADES_PER_MINUTE, MINUTES = 5_000, 20
TRADES = 3 * TRADES_PER_MINUTE * MINUTES
PLAY = {"SYMBOLS": SYMBOLS, "SIM_TRADES_PER_MINUTE": str(TRADES_PER_MINUTE), "SIM_MINUTES": str(MINUTES),
        "SIM_SEED": "7"}  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """A kill of ``victim`` after ``after`` streamed trades."""

    after: int
    victim: str


@dataclass(frozen=True)
class Outcome:
    """All that a run wrote: candles as text, id ranges, and the archive's trades."""

    candles: list[tuple[str, ...]]
    ranges: list[tuple[str, int, int]]
    archive: list[tuple[object, ...]]


def plan(seed: int) -> list[Kill]:
    """Return random kills, several per victim, most of them in the middle of the run."""
    random = Random(seed)
    victims = [victim for victim in VICTIMS for _ in range(KILLS_EACH)]
    random.shuffle(victims)
    moments = sorted(random.randrange(TRADES // 50, TRADES * 49 // 50) for _ in victims)
    return [Kill(*pair) for pair in zip(moments, victims, strict=True)]


def trade_of(value: bytes) -> tuple[object, ...]:
    """Return a trade's fields without the event time, which only the stream has."""
    t = json.loads(value)
    assert t["e"] == "trade"
    return t["s"], t["t"], t["p"], t["q"], t["T"], t["m"]


def outcome(postgres: Database, objects: Path) -> tuple[Outcome, list[bytes]]:
    with postgres.connect() as connection:
        measures = ", ".join(f"{name}::text" for name in (*MEASURES, "vwap", "is_complete"))
        candles = connection.execute(
            f"select symbol, open_time::text, {measures} from fact_realtime_trades_1m order by symbol, open_time"
        ).fetchall()
        ranges = connection.execute("select * from trade_id_ranges order by symbol, first_id").fetchall()
        archive = RawArchive(DirectoryStore(objects), "raw")
        keys = [key for (key,) in connection.execute("select object_key from raw_objects")]
    values = [value for key in keys for value in archive.read(key)]
    return Outcome(candles, ranges, sorted(map(trade_of, values))), values


def run(
    servers: Servers,
    kafka: Broker,
    postgres: Database,
    exchange: SimulatedExchange,
    *,
    objects: Path,
    kills: list[Kill],
) -> None:
    """Run the whole play through producer and consumer with the kills, until every trade is merged."""
    env = {**kafka.env(), **exchange.env(), "SYMBOLS": SYMBOLS, "GAP_CHECK_SECONDS": "5",
           "BINANCE_WEIGHT_LIMIT": "1000000",  # repairs do not wait for the next minute of the weight limit
           "KAFKA_CONSUMER_GROUP": kafka.topic_trades,  # a new group, because a static member keeps its old partitions
           "OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(objects)}  # fmt: skip
    supervisor = servers.supervisor
    supervisor.start(
        service("consumer", "consumer", {**env, **postgres.env("writer"), "KAFKA_GROUP_INSTANCE_ID": "consumer-0"}),
        service("producer", "producer", {**env, **postgres.env("producer")}),
        service("publisher", "publisher", {**env, **postgres.env("reader")}),
    )
    try:
        supervisor.wait_until(all_have_a_merged_trade(postgres, exchange), 120, "a symbol has no trade yet")
        for kill in kills:
            supervisor.wait_until(lambda after=kill.after: streamed(exchange) >= after, 120, "the play does not go on")
            supervisor.wait_until(lambda name=kill.victim: killed(supervisor.pid(name)), 60, "the victim does not run")
        supervisor.wait_until(lambda: exchange.status()["state"] == "done", 240, "the play does not end", every=0.2)
        supervisor.wait_until(all_merged(postgres, exchange), 240, "trades are missing", every=0.2)
        assert_published(servers, kafka, postgres)
    finally:
        supervisor.stop("producer")
        supervisor.stop("consumer")
        supervisor.stop("publisher")


def assert_published(servers: Servers, kafka: Broker, postgres: Database) -> None:
    """Assert that the last message of each candle is its row, and that no symbol's revisions ever went backwards."""
    with postgres.connect() as connection:
        stored = table_messages(connection)
    servers.supervisor.wait_until(lambda: read_topic(kafka).latest == stored, 60, "topic and table differ", every=0.5)
    published = read_topic(kafka)
    for message in published.latest.values():
        SCHEMA.validate(message)
    for revisions in published.revisions.values():
        assert revisions == sorted(revisions)


def killed(pid: int) -> bool:
    """Kill the process; return False if it is dead and not restarted yet."""
    if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def streamed(exchange: SimulatedExchange) -> int:
    return int(str(exchange.status()["trades_sent"]))


def all_have_a_merged_trade(postgres: Database, exchange: SimulatedExchange) -> Callable[[], bool]:
    """Return a condition: each symbol's first trade is merged, and so it is in Kafka.

    Before that no server stores a trade of the symbol. If producer and Kafka are killed then, a restarted producer
    cannot tell a lost trade from one that was made before the platform first started (docs/decisions/0012).
    """
    return lambda: {symbol: first for symbol, first, _ in merged_ranges(postgres)} == wanted_ids(exchange, "first_id")


def all_merged(postgres: Database, exchange: SimulatedExchange) -> Callable[[], bool]:
    wanted = wanted_ids(exchange, "final_id")

    def check() -> bool:
        rows = merged_ranges(postgres)
        whole = all(last - first + 1 == TRADES_PER_MINUTE * MINUTES for _, first, last in rows)
        return whole and len(rows) == len(wanted) and {symbol: last for symbol, _, last in rows} == wanted

    return check


def merged_ranges(postgres: Database) -> list[tuple[str, int, int]]:
    """Return the merged ids; none if the server does not answer, because it may just have been killed."""
    try:
        with postgres.connect() as connection:
            return connection.execute("select symbol, first_id, last_id from trade_id_ranges").fetchall()
    except psycopg.OperationalError:
        return []


def wanted_ids(exchange: SimulatedExchange, which: str) -> dict[str, int]:
    symbols = exchange.status()["symbols"]
    assert isinstance(symbols, dict)
    return {symbol: its[which] for symbol, its in symbols.items()}


@pytest.mark.timeout(900)
def test_a_run_with_kills_ends_like_one_without(private_servers: Servers, tmp_path: Path) -> None:
    servers = private_servers
    with servers.database() as postgres, servers.simulator({**PLAY, "SIM_RATE": "0"}) as exchange:
        run(servers, servers.broker(), postgres, exchange, objects=tmp_path / "calm", kills=[])
        calm, values = outcome(postgres, tmp_path / "calm")
        oracle = Oracle()
        oracle.add_values(values)
        with postgres.connect() as connection:
            assert stored_candles(connection) == oracle.candles
            assert stored_ids(connection) == oracle.ids
    assert len(calm.archive) == TRADES
    assert len(calm.candles) == 3 * MINUTES
    for seed in SEEDS:
        kills = plan(seed)
        print(f"seed {seed}: " + ", ".join(f"{kill.victim}@{kill.after}" for kill in kills))
        folder = tmp_path / f"seed-{seed}"
        with servers.database() as postgres, servers.simulator({**PLAY, "SIM_RATE": "10000"}) as exchange:
            run(servers, servers.broker(), postgres, exchange, objects=folder, kills=kills)
            stormy, _ = outcome(postgres, folder)
        print(f"seed {seed}: restarts so far {servers.supervisor.restarts}")
        assert stormy.candles == calm.candles
        assert stormy.ranges == calm.ranges
        assert stormy.archive == calm.archive
