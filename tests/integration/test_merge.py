"""The merge transaction on a real PostgreSQL: exact sums, each trade once, and a correct completeness flag."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.jobs.orphan_cleanup.orphans import delete_orphans
from crypto_analytics.store.archive import RawArchive
from tests.oracle import Oracle, stored_candles, stored_completeness, stored_ids
from tests.servers import Database
from tests.stores import MemoryStore, merge_batch

SYMBOLS = ("BTCUSDT", "ETHUSDT")
RULES = Rules(frozenset(SYMBOLS), 2**60)
START_MS = 1_767_571_200_000


@pytest.fixture
def archive() -> RawArchive:
    return RawArchive(MemoryStore(), "raw")


def columns(values: list[bytes]) -> dict[str, TradeColumns]:
    decoded = decode_batch(values, RULES)
    assert not decoded.bad
    return decoded.by_symbol()


def trade(symbol: str, trade_id: int, time: int, random: Random) -> bytes:
    price, quantity = random.randrange(1, 10**12), random.randrange(1, 10**12)
    event = {"e": "trade", "s": symbol, "t": trade_id, "p": f"{price // 10**8}.{price % 10**8:08}",
             "q": f"{quantity // 10**8}.{quantity % 10**8:08}", "T": time, "m": random.random() < 0.5}  # fmt: skip
    return json.dumps(event).encode()


def random_stream(random: Random, count: int) -> list[bytes]:
    """Return trades of some minutes, a few of them missing, repeated, late or out of order."""
    stream = []
    for number in range(count):
        for symbol in SYMBOLS:
            value = trade(symbol, 1000 + number, START_MS + number * 700, random)
            if random.random() < 0.99:
                stream += [value] * (2 if random.random() < 0.05 else 1)
    for _ in range(count // 10):
        stream.insert(random.randrange(len(stream)), stream.pop(random.randrange(len(stream))))
    return stream


def archived(connection: psycopg.Connection, archive: RawArchive) -> list[bytes]:
    keys = [key for (key,) in connection.execute("select object_key from raw_objects")]
    return [value for key in keys for value in archive.read(key)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_batches_of_an_irregular_stream_equal_the_plain_recomputation(
    postgres: Database, archive: RawArchive, seed: int
) -> None:
    random = Random(seed)
    stream = random_stream(random, 600)
    oracle = Oracle()
    oracle.add_values(stream)
    merged = duplicates = position = 0
    with postgres.connect("writer") as connection:
        while position < len(stream):
            step = random.randrange(1, 200)
            batch = columns(stream[position : position + step])
            for _ in range(random.choice([1, 1, 2])):  # a crash after the commit replays the batch
                result = merge_batch(connection, archive, batch)
                merged, duplicates = merged + result.trades, duplicates + result.duplicates
            position += step
        assert stored_candles(connection) == oracle.candles
        assert stored_ids(connection) == oracle.ids
        assert stored_completeness(connection) == {key: oracle.is_complete(key) for key in oracle.candles}
        assert any(oracle.is_complete(key) for key in oracle.candles)
        assert merged == sum(map(len, oracle.ids.values()))
        assert duplicates > 0
        again = Oracle()
        values = archived(connection, archive)
        again.add_values(values)
        assert again == oracle
        assert len(values) == merged
        gaps = connection.execute("select symbol, first_missing_id, last_missing_id from trade_id_gaps").fetchall()
        missing = {(symbol, i) for symbol, first, last in gaps for i in range(first, last + 1)}
        assert missing == {
            (symbol, i) for symbol, ids in oracle.ids.items() for i in range(min(ids), max(ids)) if i not in ids
        }


def test_concurrent_consumers_count_each_trade_once(postgres: Database, archive: RawArchive) -> None:
    random = Random(4)
    stream = random_stream(random, 300)
    oracle = Oracle()
    oracle.add_values(stream)
    batches = [columns(stream[start : start + 40]) for start in range(0, len(stream), 40)]

    def consume(order: list[dict[str, TradeColumns]]) -> int:
        with postgres.connect("writer") as connection:
            return sum(merge_batch(connection, archive, batch).trades for batch in order)

    orders = [random.sample(batches, len(batches)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        merged = list(pool.map(consume, orders))
    assert sum(merged) == sum(map(len, oracle.ids.values()))
    with postgres.connect("reader") as connection:
        assert stored_candles(connection) == oracle.candles
        assert sorted(archived(connection, archive)) == sorted(set(archived(connection, archive)))


class ConnectionClosingStore(MemoryStore):
    """Closes the database connection once, after an object is written and before the commit."""

    def __init__(self) -> None:
        super().__init__()
        self.connection: psycopg.Connection | None = None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        super().put(bucket, key, data)
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def test_the_object_of_a_batch_that_fails_after_archiving_is_deleted_as_an_orphan(postgres: Database) -> None:
    store = ConnectionClosingStore()
    archive = RawArchive(store, "raw")
    batch = columns([trade("BTCUSDT", 5, START_MS, Random(1))])
    store.connection = postgres.connect("writer")
    with pytest.raises(psycopg.OperationalError):
        merge_batch(store.connection, archive, batch)
    with postgres.connect("writer") as connection:
        assert merge_batch(connection, archive, batch).trades == 1
        assert len(list(store.list("raw"))) == 2
        now = datetime.now(UTC)
        assert delete_orphans(connection, archive, now) == 0  # a transaction that is about to commit can list it
        assert delete_orphans(connection, archive, now + timedelta(hours=2)) == 1
        assert len(archived(connection, archive)) == 1


def test_an_aggregate_that_overlaps_in_part_is_rejected_and_changes_nothing(
    postgres: Database, archive: RawArchive
) -> None:
    aggregate = {"e": "aggTrade", "s": "BTCUSDT", "a": 1, "p": "2.00000000", "q": "3.00000000", "f": 10, "l": 12,
                 "T": START_MS, "m": False}  # fmt: skip
    with postgres.connect("writer") as connection:
        merge_batch(connection, archive, columns([trade("BTCUSDT", 11, START_MS, Random(1))]))
        before = stored_candles(connection)
        result = merge_batch(connection, archive, columns([json.dumps(aggregate).encode()]))
        assert [(symbol, its.first_id, its.last_id) for symbol, its in result.rejected] == [("BTCUSDT", 10, 12)]
        assert (result.trades, stored_candles(connection)) == (0, before)


def test_vwap_and_change_time(postgres: Database, archive: RawArchive) -> None:
    def value(trade_id: int, price: str) -> bytes:
        event = {"e": "trade", "s": "BTCUSDT", "t": trade_id, "p": price, "q": "1", "T": START_MS, "m": False}
        return json.dumps(event).encode()

    with postgres.connect("writer") as connection:
        merge_batch(connection, archive, columns([value(1, "1"), value(2, "2")]))
        query = "select vwap::text, updated_at from fact_realtime_trades_1m"
        first = connection.execute(query).fetchone()
        merge_batch(connection, archive, columns([value(3, "2")]))
        second = connection.execute(query).fetchone()
        assert first is not None
        assert second is not None
        assert (first[0], second[0]) == ("1.50000000", "1.66666667")
        assert second[1] > first[1]


def test_each_role_has_only_the_permissions_of_its_work(postgres: Database) -> None:
    denied = {
        "reader": ["insert into raw_klines (symbol) values ('X')", "create table public.mine ()",
                   "create table analytics.mine ()",
                   "set default_transaction_read_only = off; delete from raw_objects"],
        "transformer": ["insert into trade_id_ranges values ('X', 1, 2)", "delete from fact_realtime_trades_1m",
                        "create table public.mine ()"],
        "writer": ["delete from fact_realtime_trades_1m", "drop table raw_objects", "create table public.mine ()",
                   "create role friend"],
    }  # fmt: skip
    for role, statements in denied.items():
        for statement in statements:
            with (
                postgres.connect(role) as connection,
                pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)),
            ):
                connection.execute(statement.encode())
    with postgres.connect("transformer") as connection:
        connection.execute("create table analytics.mine as select 1 as one")
    with postgres.connect("reader") as connection:
        assert connection.execute("select one from mine").fetchone() == (1,)
