"""dbt on a real PostgreSQL: the rows of silver and gold after every kind of change, and the rows left unchanged."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.batch_run import (
    Batch,
    changed,
    expected_gold,
    expected_silver,
    kline,
    put_official,
    put_realtime,
    values,
)
from tests.servers import Servers

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
BOTH = ("run", "--select", "tag:silver", "tag:gold")
UNIT_TESTS = (
    "silver_prefers",
    "silver_fills",
    "gold_aggregates",
    "reconciliation_separates",
    "reconciliation_compares",
)

CONTRACT = {
    "symbol": "text",
    "source": "text",
    "status": "text",
    **dict.fromkeys(("open", "high", "low", "close", "vwap"), "numeric(27,8)"),
    **dict.fromkeys(("volume", "taker_buy_volume"), "numeric(38,8)"),
    **dict.fromkeys(("quote_volume", "taker_buy_quote_volume"), "numeric(54,16)"),
    **dict.fromkeys(("trade_count",), "bigint"),
    **dict.fromkeys(("open_time", "close_time", "updated_at", "source_updated_at"), "timestamp with time zone"),
    "first_trade_id": "bigint",
    "last_trade_id": "bigint",
    "is_complete": "boolean",
}


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


@pytest.fixture(scope="module")
def batch(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    with servers.database() as database:
        yield Batch(database, tmp_path_factory.mktemp("dbt_models"))


@pytest.fixture
def writer(batch: Batch) -> Iterator[psycopg.Connection]:
    with batch.database.connect("writer") as connection:
        yield connection


def assert_exact(batch: Batch) -> None:
    """Silver and gold equal the rows that plain Python computes from the services' tables, to the last digit."""
    built = batch.built()
    assert values(built["silver_klines_1m"], "source") == expected_silver(batch)
    assert values(built["gold_klines_5m"]) == expected_gold(batch, 5)
    assert values(built["gold_klines_1h"]) == expected_gold(batch, 60)


def statuses(batch: Batch, symbol: str = "BTCUSDT") -> dict[datetime, str]:
    rows = batch.rows("analytics.reconciliation_klines_1m")
    return {open_time: row["status"] for (its_symbol, open_time), row in rows.items() if its_symbol == symbol}


def test_everything_builds_and_all_its_tests_pass_on_an_empty_database(batch: Batch) -> None:
    output = batch.dbt("build").stdout
    assert "Completed successfully" in output
    for unit_test in UNIT_TESTS:
        assert any(unit_test in line and "PASS" in line for line in output.splitlines()), unit_test


def test_columns_have_exactly_the_types_of_the_contract(batch: Batch) -> None:
    query = """
        select relname, attname, format_type(atttypid, atttypmod)
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where relnamespace = 'analytics'::regnamespace and relkind in ('r', 'v') and attnum > 0
            and relname like '%klines%'
    """
    with batch.database.connect() as connection:
        found = connection.execute(query).fetchall()
    assert {relation for relation, _, _ in found} == {
        "bronze_historical_klines", "bronze_realtime_klines", "silver_klines_1m", "reconciliation_klines_1m",
        "gold_klines_5m", "gold_klines_1h",
    }  # fmt: skip
    for relation, column, type_ in found:
        assert type_ == CONTRACT[column.removesuffix("_difference")], (relation, column)


def test_the_first_data_reach_gold_through_the_tables_that_were_empty(batch: Batch, writer: psycopg.Connection) -> None:
    put_official(writer, *(kline(minute(number), 1000 + number) for number in range(10)))
    put_official(writer, *(kline(minute(number), 50 + number, "ETHUSDT") for number in range(60)))
    put_realtime(writer, *(kline(minute(number), 1000 + number) for number in range(5, 25)))
    put_realtime(writer, kline(minute(25), 1025, is_complete=False))
    # A minute without trades has no volume and no vwap.
    nothing = dict.fromkeys(("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume"), 0)
    put_official(writer, kline(minute(3), 1003) | nothing)
    batch.dbt(*BOTH)
    assert_exact(batch)
    assert len(batch.rows("analytics.gold_klines_5m")) == 5 + 12
    assert len(batch.rows("analytics.gold_klines_1h")) == 1
    assert statuses(batch)[minute(2)] == "official_only"
    assert statuses(batch)[minute(7)] == "equal"
    assert statuses(batch)[minute(20)] == "realtime_only"
    assert statuses(batch)[minute(25)] == "incomplete"


def test_a_run_with_nothing_new_changes_no_row(batch: Batch, writer: psycopg.Connection) -> None:
    put_official(writer, kline(minute(0), 1000))  # fetched again, without a change
    before = batch.built()
    batch.dbt(*BOTH)
    assert batch.built() == before


def test_late_trades_and_late_klines_reach_gold_in_the_next_run(batch: Batch, writer: psycopg.Connection) -> None:
    before = batch.built()
    put_realtime(writer, kline(minute(12), 1012, volume=Decimal("2.5"), high=Decimal(2000)))  # a late trade
    put_official(writer, kline(minute(16), 1016, quote_volume=Decimal("1523.9"), low=Decimal(7)))  # a late kline
    put_realtime(writer, kline(minute(6), 1006, volume=Decimal("1.6")))  # the official kline takes precedence
    put_realtime(writer, kline(minute(22), 1022, is_complete=False))  # a trade was merged before its neighbour
    batch.dbt(*BOTH)
    assert_exact(batch)
    after = batch.built()

    def moved(table: str) -> set[datetime]:
        keys = changed(before[table], after[table])
        assert {symbol for symbol, _ in keys} <= {"BTCUSDT"}
        return {open_time for _, open_time in keys}

    assert moved("silver_klines_1m") == {minute(12), minute(16), minute(22)}
    assert moved("gold_klines_5m") == {minute(10), minute(15), minute(20)}
    assert moved("reconciliation_klines_1m") == {minute(6), minute(16), minute(22)}
    assert ("BTCUSDT", minute(22)) not in after["silver_klines_1m"]
    assert ("BTCUSDT", minute(20)) not in after["gold_klines_5m"]
    assert (statuses(batch)[minute(6)], statuses(batch)[minute(16)]) == ("different", "different")
    difference = after["reconciliation_klines_1m"]["BTCUSDT", minute(6)]["volume_difference"]
    assert difference == Decimal("0.1")


def test_what_is_committed_after_a_run_that_began_later_is_not_missed(batch: Batch) -> None:
    connect = batch.database.connect
    with connect("writer") as late, connect("writer") as writer, late.transaction():
        put_official(late, kline(minute(13), 5000))  # the change time is now
        put_realtime(writer, kline(minute(22), 1022))  # complete again
        batch.dbt(*BOTH)
        assert_exact(batch)
        first = batch.built()
        assert ("BTCUSDT", minute(20)) in first["gold_klines_5m"]
    batch.dbt(*BOTH)
    assert_exact(batch)
    second = batch.built()
    assert changed(first["silver_klines_1m"], second["silver_klines_1m"]) == {("BTCUSDT", minute(13))}
    assert changed(first["gold_klines_5m"], second["gold_klines_5m"]) == {("BTCUSDT", minute(10))}


def test_health_has_the_newest_minute_of_each_layer_and_counts_by_status(batch: Batch) -> None:
    with batch.database.connect("reader") as connection:
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        health = {row["symbol"]: row for row in cursor.execute("select * from analytics.pipeline_health")}
    assert set(health) == {"BTCUSDT", "ETHUSDT"}
    found = health["BTCUSDT"]
    assert (found["newest_realtime_time"], found["newest_silver_time"]) == (minute(25), minute(24))
    assert (found["newest_gold_time"], found["newest_official_time"]) == (minute(20), minute(16))
    counts = {name.removesuffix("_minutes"): found[name] for name in found if name.endswith("_minutes")}
    counted = list(statuses(batch).values())
    assert counts == {status: counted.count(status) for status in counts}
    assert health["ETHUSDT"]["official_only_minutes"] == 60


def test_a_full_refresh_gives_the_same_rows(batch: Batch, tmp_path: Path) -> None:
    before = batch.built()
    batch.dbt("run", "--full-refresh")
    for table, rows in batch.built().items():
        times = {"updated_at": None, "source_updated_at": None}
        assert {key: row | times for key, row in rows.items()} == {
            key: row | times for key, row in before[table].items()
        }, table
