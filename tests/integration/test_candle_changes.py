"""The change feed of the candles on a real PostgreSQL: no change is skipped, and each is notified."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.jobs.migrate import migrations
from crypto_analytics.store.archive import RawArchive
from tests.servers import MIGRATIONS, ROLES, Database, Servers
from tests.stores import MemoryStore, merge_batch

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTE = 60_000_000
START = 1_767_571_200_000_000
ONE = 10**8
IDS = 200

Candles = dict[tuple[str, datetime], tuple[Any, ...]]  # by symbol and open time; the revision comes first

CHANGES = """
select open_time, revision, trade_count, is_complete, verified_absent_count
from fact_realtime_trades_1m where symbol = %s and revision > %s order by revision
"""
TABLE = """
select symbol, open_time, revision, trade_count, is_complete, verified_absent_count from fact_realtime_trades_1m
"""


@pytest.fixture
def archive() -> RawArchive:
    return RawArchive(MemoryStore(), "raw")


def trades(ids: list[int]) -> TradeColumns:
    """Return trades with the given ids, five to a minute."""
    return TradeColumns.of(
        Trade(i, i, ONE, ONE, START + i // 5 * MINUTE + i, False, b'{"t":%d}' % i) for i in sorted(ids)
    )


def record_absent(producer: psycopg.Connection, symbol: str, first: int, last: int) -> None:
    producer.execute("select record_absent_ids(%s, %s, %s, 'historicalTrades', 'a page')", [symbol, first, last])


class Follower:
    """Reads the changes of one symbol as a client of the feed does: each time those after the last revision."""

    def __init__(self, connection: psycopg.Connection, symbol: str) -> None:
        self.candles: Candles = {}
        self._connection = connection
        self._symbol = symbol
        self._revision = 0

    def read(self) -> int:
        """Read the next changes and return their number."""
        rows = self._connection.execute(CHANGES, [self._symbol, self._revision]).fetchall()
        for open_time, revision, *measures in rows:
            assert revision > self._revision
            self._revision = revision
            self.candles[self._symbol, open_time] = (revision, *measures)
        return len(rows)


def stored(connection: psycopg.Connection) -> Candles:
    return {(symbol, time): tuple(rest) for symbol, time, *rest in connection.execute(TABLE.encode())}


def test_each_way_of_changing_a_candle_is_a_change_and_is_notified(postgres: Database, archive: RawArchive) -> None:
    with (
        postgres.connect("writer") as writer,
        postgres.connect("producer") as producer,
        postgres.connect("reader") as reader,
    ):
        reader.execute("listen candle_changes")
        follower = Follower(reader, "BTCUSDT")

        def changed() -> set[int]:
            """Return the minutes that changed; asserts one notification, although a merge has several statements."""
            (notice,) = reader.notifies(timeout=10, stop_after=1)
            assert (notice.channel, notice.payload) == ("candle_changes", "BTCUSDT")
            assert not list(reader.notifies(timeout=0.05))
            before = dict(follower.candles)
            follower.read()
            assert follower.candles == stored(reader)
            return {
                int((time.timestamp() * 1_000_000 - START) // MINUTE)
                for (_, time), candle in follower.candles.items()
                if before.get(("BTCUSDT", time)) != candle
            }

        merge_batch(writer, archive, {"BTCUSDT": trades([1, 2, 6, 8])})
        assert changed() == {0, 1}  # inserted
        merge_batch(writer, archive, {"BTCUSDT": trades([3])})
        assert changed() == {0}  # added to
        merge_batch(writer, archive, {"BTCUSDT": trades([9, 10, 11, 20])})
        assert changed() == {1, 2, 4}
        record_absent(producer, "BTCUSDT", 7, 7)
        assert changed() == {1}  # settle_candles by record_absent_ids
        record_absent(producer, "BTCUSDT", 12, 19)
        assert changed() == {2}
        merge_batch(writer, archive, {"BTCUSDT": trades([16])})
        assert changed() == {3, 4}  # settle_merged_ids: minute 3 is new, and 4 follows ids that were absent
        assert not merge_batch(writer, archive, {"BTCUSDT": trades([16])}).trades
        assert not list(reader.notifies(timeout=0.05))  # a replay changes nothing


def test_a_follower_skips_no_change_of_concurrent_merges(postgres: Database, archive: RawArchive) -> None:
    random = Random(5)
    batches = [
        {symbol: trades(random.sample(range(IDS), 12)) for symbol in random.sample(SYMBOLS, random.choice([1, 2]))}
        for _ in range(120)
    ]
    done = threading.Event()

    def merge(number: int) -> None:
        with postgres.connect("writer") as connection:
            for batch in batches[number::3]:
                merge_batch(connection, archive, batch)

    def record() -> None:
        with postgres.connect("producer") as connection:
            for _ in range(40):
                first = random.randrange(IDS)
                record_absent(connection, random.choice(SYMBOLS), first, first + random.randrange(3))

    def follow(symbol: str) -> tuple[Candles, int]:
        with postgres.connect("reader") as connection:
            follower, reads = Follower(connection, symbol), 0
            while not done.is_set():
                reads += follower.read() > 0
            follower.read()
            return follower.candles, reads

    with ThreadPoolExecutor(8) as pool:
        followers = [pool.submit(follow, symbol) for symbol in SYMBOLS]
        try:
            for task in [*(pool.submit(merge, number) for number in range(3)), pool.submit(record)]:
                task.result()
        finally:
            done.set()
        results = [follower.result() for follower in followers]
    with postgres.connect("reader") as connection:
        assert results[0][0] | results[1][0] == stored(connection)
    assert min(reads for _, reads in results) > 10  # it did follow


@pytest.fixture
def older(servers: Servers, tmp_path: Path) -> Iterator[Database]:
    """Yield a database with the schema before the change feed."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in sorted(MIGRATIONS.glob("000[1-7]_*.sql")):
        shutil.copy(file, folder)
    with servers.database() as database:
        with database.connect() as connection:
            connection.execute("drop schema public, analytics cascade")
            connection.execute("create schema public")
            migrations.apply(connection, folder, {role: database.passwords[role] for role in ROLES})
        yield database


def test_the_migration_gives_revisions_while_older_services_write(older: Database, archive: RawArchive) -> None:
    with older.connect("writer") as writer:
        merge_batch(writer, archive, {symbol: trades([1, 2, 3]) for symbol in SYMBOLS})
    writes, stop = threading.Event(), threading.Event()

    def write() -> int:
        merged = 0
        with older.connect("writer") as connection:
            while not stop.is_set():
                merged += merge_batch(connection, archive, {"BTCUSDT": trades([4 + merged])}).trades
                writes.set()
        return merged

    with ThreadPoolExecutor(1) as pool, older.connect() as owner, older.connect("reader") as reader:
        writing = pool.submit(write)
        try:
            assert writes.wait(30)
            applied = migrations.apply(owner, MIGRATIONS, {})
            writes.clear()
            assert writes.wait(30)  # it goes on after the migration
        finally:
            stop.set()
        assert applied[0] == "0008_candle_changes.sql"
        assert writing.result() > 1
        with older.connect("writer") as writer:
            merge_batch(writer, archive, {"ETHUSDT": trades([4])})
        revisions = [revision for revision, *_ in stored(reader).values()]
        assert len(set(revisions)) == len(revisions)
        assert min(revisions) > 0
