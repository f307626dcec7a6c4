"""The life of a symbol in all services: followed, retired by removing it from SYMBOLS, and followed again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg.rows import dict_row

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.jobs.migrate import migrations
from crypto_analytics.store import symbols
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from ops.platform import freshness
from tests.batch_run import Batch, expected_gold, expected_silver, kline, put_official, put_realtime, values
from tests.servers import MIGRATIONS, ROOT, Database
from tests.stores import merge_batch
from tests.unit.trade_json import trade_json

NOW = datetime(2026, 1, 5, tzinfo=UTC)
BOTH = ("run", "--select", "tag:silver", "tag:gold")
Row = dict[str, Any]


def minute(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


def table(connection: psycopg.Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute("select symbol, status, followed_since, retired_at from symbols").fetchall()
    return {symbol: its for symbol, *its in rows}


def statuses(connection: psycopg.Connection) -> dict[str, str]:
    return {symbol: row[0] for symbol, row in table(connection).items()}


def dataset(name: str) -> str:
    """Return the query of one of the dashboard's datasets."""
    sql: str = yaml.safe_load((ROOT / "superset" / "assets" / "datasets" / f"{name}.yaml").read_text())["sql"]
    return sql


def health(batch: Batch) -> dict[str, Row]:
    with batch.database.connect("reader") as reader:
        rows = reader.cursor(row_factory=dict_row).execute("select * from analytics.pipeline_health").fetchall()
    return {row["symbol"]: row for row in rows}


def validated(batch: Batch) -> tuple[set[str], int, int]:
    """Return the fresh and stale symbols of the dashboard, its open gaps, and the symbols of ``make status``."""
    with batch.database.connect("reader") as reader:
        fresh = {row[0] for row in reader.execute(f"select symbol from ({dataset('pipeline_freshness')}) x".encode())}
        shown = reader.execute(dataset("trade_id_gaps").encode()).fetchall()
        status = reader.execute(freshness._QUERY.encode()).fetchone()
    assert status is not None
    return fresh, len(shown), status[3]


def merge(connection: psycopg.Connection, folder: Path, symbol: str, trades: Sequence[tuple[int, datetime]]) -> None:
    """Merge trades (id, time) as the consumer does; the archive is below ``folder``."""
    spelt = [trade_json(number, symbol=symbol, time=int(time.timestamp() * 1000)) for number, time in trades]
    decoded = decode_batch(spelt, Rules(frozenset([symbol]), 2**60))
    assert not decoded.bad
    merge_batch(connection, RawArchive(DirectoryStore(folder), "raw"), decoded.by_symbol())


def test_a_symbol_is_followed_retired_and_taken_up_again_through_all_hops(postgres: Database, tmp_path: Path) -> None:
    batch = Batch(postgres, tmp_path)

    def follow(names: Sequence[str], minutes: Sequence[int]) -> None:
        """Reconcile the table of symbols and insert klines, as the backfill does."""
        with postgres.connect("writer") as writer:
            symbols.reconcile(writer, names)
            put_official(writer, *(kline(minute(at), 1000 + at, name) for name in names for at in minutes))

    def assert_exact() -> None:
        assert values(batch.rows("analytics.silver_klines_1m"), "source") == expected_silver(batch)
        assert values(batch.rows("analytics.gold_klines_5m")) == expected_gold(batch, 5)

    follow(("BTCUSDT", "ETHUSDT"), range(10))
    batch.dbt(*BOTH)
    assert_exact()
    found = health(batch)
    assert {symbol: row["status"] for symbol, row in found.items()} == dict.fromkeys(("BTCUSDT", "ETHUSDT"), "followed")
    assert found["BTCUSDT"]["newest_gold_time"] == found["ETHUSDT"]["newest_gold_time"] == minute(5)

    # ETHUSDT is removed. Its trades merged before are still built, and a gap stays open.
    with postgres.connect("writer") as writer:
        trades = [(1, minute(12)), (2, minute(13)), (3, minute(14)), (9, minute(15))]
        merge(writer, tmp_path / "objects", "ETHUSDT", trades)
    assert validated(batch) == ({"BTCUSDT", "ETHUSDT"}, 1, 1)
    follow(("BTCUSDT",), range(10, 20))
    done = batch.run(
        "--steps", "dbt_silver,dbt_test_silver,ge_validate,dbt_gold,dbt_test_gold,export_lake",
        SYMBOLS="BTCUSDT", AS_OF=minute(20).isoformat(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert_exact()
    found = health(batch)
    assert (found["BTCUSDT"]["status"], found["ETHUSDT"]["status"]) == ("followed", "retired")
    assert found["ETHUSDT"]["retired_at"] > found["ETHUSDT"]["followed_since"]
    assert found["ETHUSDT"]["missing_trades"] == 5
    assert (found["BTCUSDT"]["newest_gold_time"], found["ETHUSDT"]["newest_gold_time"]) == (minute(15), minute(5))
    assert found["ETHUSDT"]["newest_silver_time"] == minute(13)
    assert validated(batch) == ({"BTCUSDT"}, 0, 0)
    assert (tmp_path / "objects/gold/klines_5m/symbol=ETHUSDT/date=2026-01-05/part.parquet").is_file()

    # ETHUSDT is followed again, SOLUSDT is added, BTCUSDT is removed.
    before = found["ETHUSDT"]["retired_at"]
    follow(("ETHUSDT", "SOLUSDT"), range(10, 25))
    batch.dbt(*BOTH)
    assert_exact()
    gate = batch.gate(SYMBOLS="ETHUSDT,SOLUSDT", AS_OF=minute(25).isoformat())
    assert gate.returncode == 0, gate.stdout
    found = health(batch)
    assert {symbol: row["status"] for symbol, row in found.items()} == {
        "BTCUSDT": "retired", "ETHUSDT": "followed", "SOLUSDT": "followed",
    }  # fmt: skip
    assert found["ETHUSDT"]["retired_at"] is None
    assert found["ETHUSDT"]["followed_since"] > before
    newest = {symbol: row["newest_gold_time"] for symbol, row in found.items()}
    assert newest == {"BTCUSDT": minute(15), "ETHUSDT": minute(20), "SOLUSDT": minute(20)}
    assert validated(batch) == ({"ETHUSDT", "SOLUSDT"}, 1, 1)


def test_the_table_follows_symbols_and_keeps_unchanged_rows(postgres: Database) -> None:
    with postgres.connect("writer") as writer:
        assert symbols.reconcile(writer, ("BTCUSDT", "ETHUSDT")) == (["BTCUSDT", "ETHUSDT"], [])
        first = table(writer)
        assert symbols.reconcile(writer, ("ETHUSDT", "BTCUSDT")) == ([], [])
        assert table(writer) == first
        assert symbols.reconcile(writer, ("ETHUSDT", "SOLUSDT")) == (["SOLUSDT"], ["BTCUSDT"])
        second = table(writer)
        assert second["ETHUSDT"] == first["ETHUSDT"]
        assert symbols.reconcile(writer, ("ETHUSDT", "BTCUSDT", "SOLUSDT")) == (["BTCUSDT"], [])
        assert table(writer)["BTCUSDT"][1] > second["BTCUSDT"][2] > first["BTCUSDT"][1]


def test_the_migration_inserts_the_symbols_that_have_data(postgres: Database) -> None:
    with postgres.connect() as superuser:
        put_official(superuser, kline(NOW, 1000, "ETHUSDT"), kline(NOW, 1000, "BTCUSDT"))
        put_realtime(superuser, kline(NOW, 1000, "BTCUSDT"), kline(NOW, 1000, "SOLUSDT"))
        superuser.execute("drop table symbols")
        superuser.execute("delete from schema_migrations where name = '0006_symbols.sql'")
        assert migrations.apply(superuser, MIGRATIONS, {}) == ["0006_symbols.sql"]
        assert statuses(superuser) == dict.fromkeys(("BTCUSDT", "ETHUSDT", "SOLUSDT"), "retired")
    with postgres.connect("writer") as writer:
        symbols.reconcile(writer, ("ETHUSDT",))
        assert statuses(writer) == {"BTCUSDT": "retired", "ETHUSDT": "followed", "SOLUSDT": "retired"}


def test_who_may_change_the_table(postgres: Database) -> None:
    with postgres.connect("writer") as writer:
        symbols.reconcile(writer, ("BTCUSDT",))
    for role in ("transformer", "gate", "reader"):
        with postgres.connect(role) as connection:
            assert statuses(connection) == {"BTCUSDT": "followed"}
            granted = connection.execute("select has_table_privilege('symbols', 'insert, update, delete')").fetchone()
            assert granted == (False,)
