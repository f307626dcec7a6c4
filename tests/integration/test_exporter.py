"""The lake: its Parquet files equal PostgreSQL's tables value for value, and only changed partitions are written."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import structlog

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.exporter.__main__ import run
from crypto_analytics.exporter.settings import ExporterSettings
from crypto_analytics.runtime.health import Health
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.batch_run import Batch, kline, put_official, put_realtime
from tests.servers import Servers
from tests.stores import merge_batch
from tests.unit.exporter.test_trades_parquet import trade

NIGHT = datetime(2026, 1, 4, 23, 30, tzinfo=UTC)
HOUR = 3_600_000


def minute(number: int) -> datetime:
    return NIGHT + timedelta(minutes=number)


@pytest.fixture(scope="module")
def batch(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    with servers.database() as database:
        batch = Batch(database, tmp_path_factory.mktemp("exporter"))
        with database.connect("writer") as writer:
            put_official(writer, *(kline(minute(number), 1000 + number) for number in range(60)))  # across midnight
            put_realtime(writer, *(kline(minute(number), 99, "ETHUSDT", high=10**15) for number in range(10)))
        batch.dbt("run")
        yield batch


def export(batch: Batch, as_of: str = "2026-01-05T12:00:00Z") -> Path:
    """Run the exporter and return the lake's folder."""
    lake = batch.folder / "lake"
    login = batch.database.settings("reader").model_dump()
    settings = ExporterSettings(
        **login, OBJECT_STORE="directory", OBJECT_STORE_DIR=lake, AS_OF=datetime.fromisoformat(as_of)
    )
    run(settings, DirectoryStore(lake), Event(), Health(), structlog.get_logger())
    return lake


def files(folder: Path) -> dict[str, int]:
    """Return the time of the last write of each object below ``folder``."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def in_database(batch: Batch, table: str, columns: list[str]) -> list[tuple[str, ...]]:
    """Return all rows in PostgreSQL's text format."""
    names = ", ".join(f"{name}::text" for name in columns)
    with batch.database.connect() as connection:
        query = f"select {names} from analytics.{table} order by symbol, {table}.open_time"
        return connection.execute(query.encode()).fetchall()


def in_lake(folder: Path) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Return the columns and all rows of a Parquet data set, in PostgreSQL's text format."""
    table = ds.dataset(folder, partitioning="hive").to_table().drop_columns(["date"])
    table = table.sort_by([("symbol", "ascending"), ("open_time", "ascending")])
    texts = [[_text(value, field.type) for value in table[field.name].to_pylist()] for field in table.schema]
    return table.column_names, list(zip(*texts, strict=True))


def _text(value: object, kind: pa.DataType) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
        return f"{value:%Y-%m-%d %H:%M:%S}{fraction}+00"
    return f"{value:.{kind.scale}f}" if pa.types.is_decimal(kind) else str(value)


@pytest.mark.parametrize(
    ("table", "folder", "objects"),
    [
        ("silver_klines_1m", "silver/klines_1m", 3),
        ("gold_klines_5m", "gold/klines_5m", 3),
        ("gold_klines_1h", "gold/klines_1h", 0),
    ],
)
def test_what_is_read_back_equals_the_table(batch: Batch, table: str, folder: str, objects: int) -> None:
    lake = export(batch)
    assert len(files(lake / folder) if objects else []) == objects
    if objects:
        columns, rows = in_lake(lake / folder)
        assert rows == in_database(batch, table, columns)
        assert len(rows) >= 14


def test_a_day_is_one_object_below_its_symbol(batch: Batch) -> None:
    lake = export(batch)
    assert set(files(lake / "silver")) == {
        "klines_1m/symbol=BTCUSDT/date=2026-01-04/part.parquet",
        "klines_1m/symbol=BTCUSDT/date=2026-01-05/part.parquet",
        "klines_1m/symbol=ETHUSDT/date=2026-01-04/part.parquet",
    }


def test_only_changed_days_are_written_again(batch: Batch) -> None:
    lake = export(batch)
    before = files(lake)
    assert files(export(batch)) == before
    with batch.database.connect() as connection:
        connection.execute(
            "update analytics.silver_klines_1m set close = close + 1, updated_at = now() where open_time = %s",
            [minute(40)],
        )
        connection.execute(
            "delete from analytics.silver_klines_1m where symbol = 'ETHUSDT' and open_time = %s", [NIGHT]
        )
        connection.execute("delete from analytics.gold_klines_5m where symbol = 'ETHUSDT'")
    after = files(export(batch))
    gone = {"gold/klines_5m/symbol=ETHUSDT/date=2026-01-04/part.parquet"}
    assert before.keys() - after.keys() == gone
    assert {name for name in after if after[name] != before.get(name)} == {
        "silver/klines_1m/symbol=BTCUSDT/date=2026-01-05/part.parquet",
        "silver/klines_1m/symbol=ETHUSDT/date=2026-01-04/part.parquet",
    }
    columns, rows = in_lake(lake / "silver/klines_1m")
    assert rows == in_database(batch, "silver_klines_1m", columns)


def test_an_object_that_was_lost_is_written_again(batch: Batch) -> None:
    lake = export(batch)
    before = set(files(lake))
    (lake / "silver/klines_1m/symbol=BTCUSDT/date=2026-01-04/part.parquet").unlink()
    assert set(files(export(batch))) == before


def archive_trades(batch: Batch, values: list[bytes]) -> None:
    """Merge and archive trades as the consumer does."""
    archive = RawArchive(DirectoryStore(batch.folder / "lake"), "raw")
    trades = decode_batch(values, Rules(frozenset({"BTCUSDT"}), 2**60)).by_symbol()
    with batch.database.connect("writer") as connection:
        merge_batch(connection, archive, trades)


def test_raw_trades_are_compacted_once_their_hour_is_over_and_again_when_late_ones_come(batch: Batch) -> None:
    noon = 1_767_614_400_000
    first = [trade(number, f"{number}.00000000", "1.00000000", time=noon + number * 1000) for number in range(1, 40)]
    archive_trades(batch, first[20:])
    archive_trades(batch, first[:20])
    archive_trades(batch, [trade(100, "5.00000000", "1.00000000", time=noon + HOUR)])
    lake = export(batch, as_of="2026-01-05T13:00:00Z")
    closed = "trades/symbol=BTCUSDT/date=2026-01-05/hour=12/part.parquet"
    assert set(files(lake / "bronze")) == {closed}
    assert compacted(lake) == list(range(1, 40))
    written = files(lake / "bronze")
    assert files(export(batch, as_of="2026-01-05T13:30:00Z") / "bronze") == written
    archive_trades(batch, [trade(40, "5.00000000", "1.00000000", time=noon + 50_000)])
    export(batch, as_of="2026-01-05T13:30:00Z")
    assert compacted(lake) == list(range(1, 41))


def compacted(lake: Path) -> list[int]:
    table = ds.dataset(lake / "bronze/trades", partitioning="hive").to_table()
    found: list[int] = table["first_trade_id"].to_pylist()
    return found


def test_without_tables_the_next_step_is_named(batch: Batch) -> None:
    with batch.database.connect() as connection:
        connection.execute("alter table analytics.silver_klines_1m rename to elsewhere")
    done = batch.run("--steps", "export_lake")
    assert done.returncode == 1
    assert "build the tables first" in done.stdout
    with batch.database.connect() as connection:
        connection.execute("alter table analytics.elsewhere rename to silver_klines_1m")


def test_reader_is_enough_and_cannot_write(batch: Batch) -> None:
    with batch.database.connect("reader") as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("delete from analytics.gold_klines_5m")
