"""A slow object store only slows the batch: no lock or transaction is held while objects are written."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

import psycopg
import pytest

from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import HOUR, RawArchive
from crypto_analytics.store.merge import BatchMerge
from tests.servers import Database
from tests.stores import MemoryStore, merge_batch

START = 490_000 * HOUR
ONE = 10**8
Batch = dict[str, TradeColumns]


class SlowStore(MemoryStore):
    """A store whose puts take ``seconds``; each put calls ``during`` with its number before the object exists."""

    def __init__(self, seconds: float = 0, during: Callable[[int], None] = lambda number: None) -> None:
        super().__init__()
        self.seconds = seconds
        self.during = during
        self.puts: list[str] = []
        self._counting = threading.Lock()

    def put(self, bucket: str, key: str, data: bytes) -> None:
        with self._counting:
            self.puts.append(key)
            number = len(self.puts)
        self.during(number)
        time.sleep(self.seconds)  # the tested delay
        super().put(bucket, key, data)


def batch_of(ids: dict[str, Sequence[int]], *, hours_apart: bool = False) -> Batch:
    """Return a trade for each id of each symbol, each in a different minute (or hour)."""
    period = HOUR if hours_apart else HOUR // 60
    return {
        symbol: TradeColumns.of(
            Trade(i, i, ONE, ONE, START + i * period, False, f'{{"s":"{symbol}","t":{i}}}'.encode()) for i in its
        )
        for symbol, its in ids.items()
    }


def check(database: Database, archive: RawArchive, ids: dict[str, set[int]]) -> None:
    """Each id is merged once and archived once, in listed objects; there is no other object."""
    with database.connect("reader") as connection:
        merged: Counter[str] = Counter()
        for symbol, count in connection.execute("select symbol, trade_count from fact_realtime_trades_1m"):
            merged[symbol] += count
        assert merged == {symbol: len(its) for symbol, its in ids.items()}
        keys = [key for (key,) in connection.execute("select object_key from raw_objects")]
    values = Counter(value for key in keys for value in archive.read(key))
    assert values == Counter(f'{{"s":"{symbol}","t":{i}}}'.encode() for symbol, its in ids.items() for i in its)
    assert sorted(keys) == [item.key for item in archive.store.list("raw")]


def impatient(database: Database) -> psycopg.Connection:
    """Return a connection of the writer that the server ends after 0.3 s idle in a transaction."""
    connection = database.connect("writer")
    connection.execute("set idle_in_transaction_session_timeout = '300ms'")
    return connection


def test_a_batch_is_merged_however_long_its_objects_take(postgres: Database) -> None:
    locked: list[bool] = []

    def take_the_lock(number: int) -> None:
        if number == 40:
            with postgres.connect("writer") as other:
                query = (
                    "select bool_and(pg_try_advisory_lock(hashtextextended(s, 20170714))) from unnest(%s::text[]) as s"
                )
                locked.extend(other.execute(query, [list(batch)]).fetchone() or ())

    ids = {f"S{number:03}": range(1, 3) for number in range(80)}
    batch = batch_of(dict(ids))
    archive = RawArchive(SlowStore(0.12, take_the_lock), "raw")
    with impatient(postgres) as connection:
        merged = merge_batch(connection, archive, batch)
    assert locked == [True], "a lock of these symbols is held while objects are written"
    assert (merged.trades, merged.duplicates) == (160, 0)
    check(postgres, archive, {symbol: set(its) for symbol, its in ids.items()})


def test_trades_that_another_merge_takes_meanwhile_are_counted_once(postgres: Database) -> None:
    archive: RawArchive

    def merge_some(number: int) -> None:
        if number == 2:
            with postgres.connect("writer") as other:
                merge_batch(other, RawArchive(archive.store, "raw"), batch_of({"B": [2, 3], "C": [1, 2, 3]}))

    store = SlowStore(during=merge_some)
    archive = RawArchive(store, "raw", writers=1)
    with impatient(postgres) as connection:
        merged = merge_batch(connection, archive, batch_of({"A": [1, 2], "B": [1, 2, 3], "C": [1, 2, 3]}))
    assert (merged.trades, merged.duplicates, merged.unlisted) == (3, 5, 0)
    by_symbol = Counter(key.split("/")[1] for key in store.puts)
    assert by_symbol == {"symbol=A": 1, "symbol=B": 3, "symbol=C": 2}, "only B is archived again"
    check(postgres, archive, {"A": {1, 2}, "B": {1, 2, 3}, "C": {1, 2, 3}})


@pytest.mark.parametrize("seed", [1, 2])
def test_two_mergers_of_a_slow_store_end_exactly_once(postgres: Database, seed: int) -> None:
    random = Random(seed)
    archive = RawArchive(SlowStore(0.01), "raw")
    ids = {f"S{number}": random.sample(range(1, 200), 120) for number in range(6)}
    batches = []
    for _ in range(12):
        some = random.sample(list(ids), 4)
        batches.append(batch_of({symbol: random.sample(ids[symbol], 60) for symbol in some}))

    def merge(order: list[Batch]) -> int:
        with impatient(postgres) as connection:
            return sum(merge_batch(connection, archive, batch).trades for batch in order)

    with ThreadPoolExecutor(2) as pool:
        trades = sum(pool.map(merge, [batches, random.sample(batches, len(batches))]))
    expected: dict[str, set[int]] = {}
    for batch in batches:
        for symbol, its in batch.items():
            expected.setdefault(symbol, set()).update(its.first_ids.tolist())
    assert trades == sum(map(len, expected.values()))
    check(postgres, archive, expected)


def test_the_next_attempt_reuses_uploaded_objects(postgres: Database) -> None:
    connection = postgres.connect("writer")
    store = SlowStore(during=lambda number: connection.close() if number == 1 else None)
    archive = RawArchive(store, "raw")
    ids = {f"S{number}": {1, 2, 3} for number in range(10)}
    batch = BatchMerge(archive, batch_of({symbol: sorted(its) for symbol, its in ids.items()}))
    with pytest.raises(psycopg.OperationalError):
        batch.run(connection)
    with postgres.connect("writer") as again:
        assert batch.run(again).trades == 30
    assert len(store.puts) == 10
    check(postgres, archive, ids)


class LosesTheAnswer(psycopg.Connection[tuple[object, ...]]):
    """A connection that breaks after the server has committed."""

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[object]:  # type: ignore[override]
        with super().transaction(savepoint_name, force_rollback) as transaction:
            yield transaction
        self.close()
        raise psycopg.OperationalError("the connection is lost")


def test_a_commit_that_was_not_confirmed_keeps_its_objects(postgres: Database) -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = BatchMerge(archive, batch_of({"A": [1, 2]}))
    login = postgres.settings("writer")
    connection = LosesTheAnswer.connect(
        host=login.POSTGRES_HOST,
        port=login.POSTGRES_PORT,
        dbname=login.POSTGRES_DB,
        user=login.POSTGRES_USER,
        password=login.POSTGRES_PASSWORD.get_secret_value(),
        autocommit=True,
    )
    with pytest.raises(psycopg.OperationalError, match="is lost"):
        batch.run(connection)
    with postgres.connect("writer") as again:
        merged = batch.run(again)
    assert (merged.trades, merged.duplicates) == (0, 2)
    check(postgres, archive, {"A": {1, 2}})


def test_a_batch_of_very_many_objects_is_merged_in_shares(postgres: Database) -> None:
    def fail(number: int) -> None:
        if number == 560:
            raise TimeoutError("the store is unreachable")

    store = SlowStore(during=fail)
    archive = RawArchive(store, "raw")
    ids = {"A": range(600), "B": range(5)}
    batch = BatchMerge(archive, batch_of(dict(ids), hours_apart=True))
    with postgres.connect("writer") as connection:
        with pytest.raises(TimeoutError):
            batch.run(connection)
        shares = connection.execute("select count(*), count(distinct created_at) from raw_objects").fetchone()
        assert shares == (512, 2)
        merged = batch.run(connection)
    assert (merged.trades, merged.archived, merged.duplicates) == (605, 605, 0)
    assert len(store.puts) == 606, "only the put that failed is repeated"
    check(postgres, archive, {symbol: set(its) for symbol, its in ids.items()})
