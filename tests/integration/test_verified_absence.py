"""Verified absent ids on a real PostgreSQL: the candles are right in every order of merges and recordings."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import psycopg
import pytest

from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import RawArchive
from tests.servers import Database
from tests.stores import MemoryStore, merge_batch

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTE = 60_000_000
START = 1_767_571_200_000_000
ONE = 10**8
IDS = 30


@pytest.fixture
def archive() -> RawArchive:
    return RawArchive(MemoryStore(), "raw")


@dataclass
class Ids:
    """The oracle: the merged ids of one symbol (with their minute) and the absent ones."""

    merged: dict[int, int] = field(default_factory=dict)
    absent: set[int] = field(default_factory=set)

    def merge(self, ids: Mapping[int, int]) -> None:
        self.merged = {**ids, **self.merged}
        self.absent -= set(ids)

    def record(self, ids: Iterable[int]) -> None:
        self.absent |= set(ids) - set(self.merged)

    def candles(self) -> dict[int, tuple[bool, int]]:
        """Return for each minute whether it is complete, and its number of absent ids."""
        candles = {}
        for minute in set(self.merged.values()):
            its = [i for i, its_minute in self.merged.items() if its_minute == minute]
            window = range(max(min(its) - 1, 0), max(its) + 2)
            complete = all(i in self.merged or i in self.absent for i in window)
            candles[minute] = complete, sum(i in self.absent for i in range(min(its), max(its)))
        return candles

    def gaps(self) -> set[int]:
        between = range(min(self.merged), max(self.merged)) if self.merged else ()
        return {i for i in between if i not in self.merged and i not in self.absent}


def trades(ids: Mapping[int, int]) -> TradeColumns:
    """Return trades with the given ids in the given minutes, in the order of the ids."""
    return TradeColumns.of(
        Trade(i, i, ONE, ONE, START + minute * MINUTE + i, False, b'{"t":%d}' % i) for i, minute in sorted(ids.items())
    )


def record(connection: psycopg.Connection, symbol: str, first: int, last: int, answer: str = "page of 3") -> None:
    connection.execute("select record_absent_ids(%s, %s, %s, 'historicalTrades', %s)", [symbol, first, last, answer])


def stored(connection: psycopg.Connection, symbol: str) -> tuple[set[int], set[int]]:
    """Return the merged and the absent ids in the database; asserts that the ranges of each are disjoint."""

    def ids_of(table: str) -> set[int]:
        rows = connection.execute(f"select first_id, last_id from {table} where symbol = %s".encode(), [symbol])
        ids = [i for first, last in rows for i in range(first, last + 1)]
        assert len(ids) == len(set(ids)), table
        return set(ids)

    return ids_of("trade_id_ranges"), ids_of("verified_absent_ids")


def assert_equal(connection: psycopg.Connection, plain: Mapping[str, Ids]) -> None:
    for symbol, ids in plain.items():
        assert stored(connection, symbol) == (set(ids.merged), ids.absent)
        candles = connection.execute(
            "select (extract(epoch from open_time) * 1000000)::bigint, is_complete, verified_absent_count"
            " from fact_realtime_trades_1m where symbol = %s",
            [symbol],
        )
        assert {(time - START) // MINUTE: (complete, count) for time, complete, count in candles} == ids.candles()
        gaps = connection.execute(
            "select first_missing_id, last_missing_id, missing_count from trade_id_gaps where symbol = %s", [symbol]
        ).fetchall()
        assert {i for first, last, _ in gaps for i in range(first, last + 1)} == ids.gaps()
        assert sum(count for _, _, count in gaps) == len(ids.gaps())


def minute_of(trade_id: int, random: Random) -> int:
    """Return a minute for an id: mostly in order, sometimes late, so that a candle spans ids of other minutes."""
    return max(0, trade_id // 5 - (random.random() < 0.1) * random.randrange(4))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("start", [0, 1, 1000])
def test_any_order_of_merges_and_recordings_gives_the_plain_answer(
    postgres: Database, archive: RawArchive, seed: int, start: int
) -> None:
    random = Random(f"{seed} {start}")
    plain = {symbol: Ids() for symbol in SYMBOLS}
    minutes = {symbol: {start + i: minute_of(i, random) for i in range(IDS)} for symbol in SYMBOLS}
    complete = over_absent = 0
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        for _ in range(60):
            symbol = random.choice(SYMBOLS)
            first = start + random.randrange(IDS)
            last = min(first + random.choice([0, 0, 1, 3, 12]), start + IDS - 1)
            if random.random() < 0.4:
                record(producer, symbol, first, last)
                plain[symbol].record(range(first, last + 1))
            else:
                batch = {its: run_of(minutes[its], first, last, random) for its in random.choice([[symbol], SYMBOLS])}
                merge_batch(writer, archive, {its: trades(ids) for its, ids in batch.items()})
                for its, ids in batch.items():
                    plain[its].merge(ids)
            assert_equal(writer, plain)
            for ids in plain.values():
                complete += sum(is_complete for is_complete, _ in ids.candles().values())
                over_absent += sum(is_complete and count > 0 for is_complete, count in ids.candles().values())
    assert complete > 0
    assert over_absent > 0


def run_of(minutes: Mapping[int, int], first: int, last: int, random: Random) -> dict[int, int]:
    """Return the trades ``first``..``last``: every fourth is usually missing, the others rarely."""
    return {i: minutes[i] for i in range(first, last + 1) if random.random() < (0.1 if i % 4 == 2 else 0.9)}


def test_merges_and_recordings_side_by_side_give_the_plain_answer(postgres: Database, archive: RawArchive) -> None:
    random = Random(5)
    minutes = {i: minute_of(i, random) for i in range(600)}
    absent_ids = {i for i in range(2, 598) if random.random() < 0.2}
    late = {i for i in absent_ids if random.random() < 0.3}  # recorded as absent, but merged later
    batches = [[i for i in range(at, at + 20) if i not in absent_ids or i in late] for at in range(0, 600, 20)]
    recordings = [[i] for i in absent_ids]

    def merge(order: Sequence[list[int]]) -> None:
        with postgres.connect("writer") as connection:
            for batch in order:
                merge_batch(connection, archive, {"BTCUSDT": trades({i: minutes[i] for i in batch})})

    def verify(order: Sequence[list[int]]) -> None:
        with postgres.connect("producer") as connection:
            for (trade_id,) in order:
                record(connection, "BTCUSDT", trade_id, trade_id)

    with ThreadPoolExecutor(3) as pool:
        shuffled = random.sample(batches, len(batches))
        work = [pool.submit(merge, shuffled[:20]), pool.submit(merge, shuffled[10:])]
        work.append(pool.submit(verify, random.sample(recordings, len(recordings))))
        for future in work:
            future.result()
    plain = Ids()
    plain.record(absent_ids)
    plain.merge({i: minutes[i] for batch in batches for i in batch})
    with postgres.connect("reader") as connection:
        assert_equal(connection, {"BTCUSDT": plain})


def test_a_recording_waits_for_a_merge_under_way(postgres: Database) -> None:
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        producer.execute("set lock_timeout = '100ms'")
        with writer.transaction():
            writer.execute("select pg_advisory_xact_lock(hashtextextended('BTCUSDT', 20170714))")
            record(producer, "ETHUSDT", 5, 5)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                record(producer, "BTCUSDT", 5, 5)
        record(producer, "BTCUSDT", 5, 5)


def test_a_candle_that_begins_with_id_0_needs_no_id_before_it(postgres: Database, archive: RawArchive) -> None:
    def candles() -> list[tuple[int, bool]]:
        with postgres.connect("reader") as connection:
            query = "select first_trade_id, is_complete from fact_realtime_trades_1m order by open_time"
            return connection.execute(query).fetchall()

    with postgres.connect("writer") as writer:
        merge_batch(writer, archive, {"BTCUSDT": trades({0: 0, 1: 0})})
        assert candles() == [(0, False)]  # the trade 2 may still belong to this minute
        merge_batch(writer, archive, {"BTCUSDT": trades({2: 1, 3: 1, 4: 2})})
        assert candles() == [(0, True), (2, True), (4, False)]


def test_a_candle_that_begins_with_id_1_waits_for_id_0(postgres: Database, archive: RawArchive) -> None:
    query = "select is_complete from fact_realtime_trades_1m where first_trade_id <= 1"
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        merge_batch(writer, archive, {"BTCUSDT": trades({1: 0, 2: 0, 3: 1})})
        assert writer.execute(query).fetchall() == [(False,)]
        record(producer, "BTCUSDT", 0, 0)
        assert writer.execute(query).fetchall() == [(True,)]


def test_only_candles_that_changed_get_a_new_change_time(postgres: Database, archive: RawArchive) -> None:
    query = "select updated_at from fact_realtime_trades_1m order by open_time"
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        merge_batch(writer, archive, {"BTCUSDT": trades({1: 0, 2: 0, 3: 1, 5: 1, 6: 2})})
        before = writer.execute(query).fetchall()
        record(producer, "BTCUSDT", 4, 4)
        after = writer.execute(query).fetchall()
        assert [old != new for old, new in zip(before, after, strict=True)] == [False, True, False]
        record(producer, "BTCUSDT", 4, 4)
        assert writer.execute(query).fetchall() == after


def test_the_candle_behind_an_id_that_was_not_absent_after_all_gets_a_new_change_time(
    postgres: Database, archive: RawArchive
) -> None:
    query = "select updated_at from fact_realtime_trades_1m where open_time < %s order by open_time"
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        merge_batch(writer, archive, {"BTCUSDT": trades({1: 0, 2: 0, 4: 5, 5: 5, 6: 6})})
        record(producer, "BTCUSDT", 3, 3)
        [last] = writer.execute("select max(open_time) + interval '1 minute' from fact_realtime_trades_1m").fetchall()
        before = writer.execute(query, last).fetchall()
        merge_batch(writer, archive, {"BTCUSDT": trades({3: 500})})
        after = writer.execute(query, last).fetchall()
    assert [old != new for old, new in zip(before, after, strict=True)] == [False, True, False]


def test_what_is_left_of_a_recorded_range_keeps_its_record(postgres: Database, archive: RawArchive) -> None:
    query = "select first_id, last_id, method, answer, verified_at from verified_absent_ids order by first_id"
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        record(producer, "BTCUSDT", 10, 19, "first")
        verified_at = writer.execute(query).fetchall()[0][-1]
        merge_batch(writer, archive, {"BTCUSDT": trades({10: 0, 14: 0, 15: 0, 18: 0})})
        record(producer, "BTCUSDT", 8, 22, "second")
        rows = writer.execute(query).fetchall()
        kept = [(*row[:2], row[3]) for row in rows if row[-1] == verified_at]
        assert kept == [(11, 13, "first"), (16, 17, "first"), (19, 19, "first")]
        assert [row[:4] for row in rows if row[-1] != verified_at] == [
            (8, 9, "historicalTrades", "second"),
            (20, 22, "historicalTrades", "second"),
        ]


def test_an_absurd_range_is_refused(postgres: Database) -> None:
    with postgres.connect("producer") as producer:
        for first, last in [(-1, 5), (6, 5), (None, 5)]:
            with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"no range of trade ids"):
                producer.execute("select record_absent_ids('BTCUSDT', %s, %s, 'method', 'answer')", [first, last])


def test_a_gap_shows_the_last_reason_and_no_reason_outlives_its_gap(postgres: Database, archive: RawArchive) -> None:
    gaps = "select first_missing_id, last_missing_id, reason, tried_at is null from trade_id_gaps order by 1"

    def tried(first: int, last: int, reason: str) -> None:
        producer.execute("select record_gap_reason('BTCUSDT', %s, %s, %s)", [first, last, reason])

    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        merge_batch(writer, archive, {"BTCUSDT": trades({1: 0, 10: 0, 20: 0})})
        assert producer.execute(gaps).fetchall() == [(2, 9, None, True), (11, 19, None, True)]
        tried(2, 9, "page limit")
        tried(2, 9, "no such method")
        tried(11, 19, "host is away")
        assert producer.execute(gaps).fetchall() == [
            (2, 9, "no such method", False),
            (11, 19, "host is away", False),
        ]
        record(producer, "BTCUSDT", 5, 6)
        tried(7, 9, "page limit")
        assert producer.execute(gaps).fetchall() == [
            (2, 4, "no such method", False),
            (7, 9, "page limit", False),
            (11, 19, "host is away", False),
        ]
        merge_batch(writer, archive, {"BTCUSDT": trades(dict.fromkeys([2, 3, 4, 7, 8, 9], 0))})
        assert producer.execute(gaps).fetchall() == [(11, 19, "host is away", False)]
        tried(12, 13, "host is away")
        reasons = producer.execute("select first_id, last_id from open_gap_reasons order by 1").fetchall()
        assert reasons == [(11, 19), (12, 13)]


def test_completeness_counts_the_absent_ids_apart(postgres: Database, archive: RawArchive) -> None:
    with postgres.connect("writer") as writer, postgres.connect("producer") as producer:
        merge_batch(writer, archive, {"BTCUSDT": trades({0: 0, 3: 0, 5: 1, 6: 2})})
        record(producer, "BTCUSDT", 1, 4)
    with postgres.connect("reader") as reader:
        query = "select symbol, candles, complete_candles, verified_absent_count from completeness"
        assert reader.execute(query).fetchall() == [("BTCUSDT", 3, 2, 2)]


def test_the_producer_records_and_reads_gaps_and_no_more(postgres: Database) -> None:
    denied = [
        "insert into verified_absent_ids values ('BTCUSDT', 1, 2, now(), 'method', 'answer')",
        "insert into open_gap_reasons values ('BTCUSDT', 1, 2, 'reason')",
        "delete from open_gap_reasons",
        "select * from fact_realtime_trades_1m",
        "update fact_realtime_trades_1m set is_complete = true",
        "select * from trade_id_ranges",
        "select settle_candles('BTCUSDT', 1, 2)",
        "select settle_merged_ids('{BTCUSDT}', '{1}', '{2}')",
        "create table public.mine ()",
    ]
    with postgres.connect("producer") as producer:
        for statement in denied:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                producer.execute(statement.encode())
    for role in ("reader", "writer", "transformer", "gate"):
        with postgres.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            record(connection, "BTCUSDT", 1, 2)
        with postgres.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select record_gap_reason('BTCUSDT', 1, 2, 'reason')")
