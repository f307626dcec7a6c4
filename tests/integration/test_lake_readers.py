"""DuckDB, pandas and Spark read PostgreSQL's values from the lake, in a folder and in S3, and never half a day."""

import json
import os
import re
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from threading import Event

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import structlog
from minio import Minio
from moto.server import ThreadedMotoServer
from pyarrow import fs
from pydantic import SecretStr

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.exporter.__main__ import run
from crypto_analytics.exporter.settings import ExporterSettings
from crypto_analytics.runtime.health import Health
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore, ObjectNotFound, ObjectStore, S3Store
from ops.setup.environments import python_of
from tests.batch_run import Batch, Row, kline, put_official
from tests.servers import ROOT, Servers
from tests.stores import merge_batch
from tests.unit.exporter.test_trades_parquet import trade

Rows = list[tuple[str | None, ...]]

NIGHT = datetime(2026, 1, 4, 23, tzinfo=UTC)
NOON_MS = 1_767_614_400_000
KEYS = {"access_key": "reader", "secret_key": "made up"}
LAYERS = {
    "silver/klines_1m": "analytics.silver_klines_1m",
    "gold/klines_5m": "analytics.gold_klines_5m",
    "gold/klines_1h": "analytics.gold_klines_1h",
}
PARTITIONS = {"date", "hour"}  # part of the path, like the symbol
TRADES = [
    trade(number, f"{60_000 + number}.12345678", f"0.0{number:07}", time=NOON_MS + number * 7_001)
    for number in range(1, 500)
]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Yield the address of an S3 service in this process, with the lake's buckets."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for bucket in ("raw", "bronze", "silver", "gold"):
        client(f"{host}:{port}").make_bucket(bucket)
    yield f"{host}:{port}"
    server.stop()


def client(endpoint: str) -> Minio:
    return Minio(endpoint, **KEYS, secure=False, region="us-east-1")


class Watched(S3Store):
    """An S3 store that remembers the keys of its puts."""

    def __init__(self, client: Minio) -> None:
        super().__init__(client)
        self.written: list[str] = []

    def put(self, bucket: str, key: str, data: bytes) -> None:
        super().put(bucket, key, data)
        self.written.append(f"{bucket}/{key}")

    def put_chunks(self, bucket: str, key: str, chunks: Iterable[bytes]) -> None:
        super().put_chunks(bucket, key, chunks)
        self.written.append(f"{bucket}/{key}")


@pytest.fixture(scope="module")
def batch(servers: Servers, tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Batch]:
    """Yield silver and gold across midnight, and an hour of trades, in PostgreSQL, a folder and S3."""
    with servers.database() as database:
        batch = Batch(database, tmp_path_factory.mktemp("lake_readers"))
        with database.connect("writer") as writer:
            for number in range(120):
                at, price = NIGHT + timedelta(minutes=number), 1000 + number
                largest = {"high": 10**18, "quote_volume": Decimal(f"9999999999999999999.{'1' * 16}")}
                put_official(writer, kline(at, price), kline(at, price, "ETHUSDT", **(largest if number == 3 else {})))
            put_official(writer, kline(NIGHT, 7, "BNBUSDT", volume=0, quote_volume=0, trade_count=0,
                                       taker_buy_volume=0, taker_buy_quote_volume=0))  # fmt: skip
            trades = decode_batch(TRADES, Rules(frozenset({"BTCUSDT"}), 2**60)).by_symbol()
            merge_batch(writer, RawArchive(stores(batch, s3)[0], "raw"), trades)
        for item in stores(batch, s3)[0].list("raw"):
            stores(batch, s3)[1].put("raw", item.key, stores(batch, s3)[0].get("raw", item.key))
        batch.dbt("run")
        for store in stores(batch, s3):
            export(batch, store)
        yield batch


def stores(batch: Batch, s3: str) -> tuple[ObjectStore, ObjectStore]:
    return DirectoryStore(batch.folder / "lake"), S3Store(client(s3))


def export(batch: Batch, store: ObjectStore) -> None:
    """Run the exporter, an hour after the last trade."""
    settings = ExporterSettings(
        **batch.database.settings("reader").model_dump(),
        S3_ACCESS_KEY=KEYS["access_key"],
        S3_SECRET_KEY=SecretStr(KEYS["secret_key"]),
        AS_OF=datetime(2026, 1, 5, 13, 30, tzinfo=UTC),
    )
    run(settings, store, Event(), Health(), structlog.get_logger())


def in_database(batch: Batch, relation: str) -> tuple[list[str], Rows]:
    """Return the columns and all rows in PostgreSQL's text format."""
    with batch.database.connect() as connection:
        described = connection.execute(f"select * from {relation} limit 0".encode()).description
        assert described is not None
        columns = [column.name for column in described]
        texts = ", ".join(f"{name}::text" for name in columns)
        query = f"select {texts} from {relation} as t order by t.symbol, t.open_time"
        return columns, connection.execute(query.encode()).fetchall()


def archived() -> tuple[list[str], Rows]:
    """Return the columns and rows of TRADES that are expected in bronze."""
    columns = ["symbol", "first_trade_id", "last_trade_id", "price", "quantity", "buyer_is_maker", "trade_time"]
    rows: Rows = []
    for value in map(json.loads, TRADES):
        time = datetime.fromtimestamp(value["T"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
        number, maker = str(value["t"]), "true" if value["m"] else "false"
        rows.append(("BTCUSDT", number, number, value["p"], value["q"], maker, f"{time}+00"))
    return columns, rows


def wanted(batch: Batch, table: str) -> tuple[list[str], Rows]:
    return archived() if table == "bronze/trades" else in_database(batch, LAYERS[table])


TABLES = [*LAYERS, "bronze/trades"]


def by_duckdb(source: str, columns: Sequence[str]) -> Rows:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        texts = ", ".join(f"cast({name} as varchar)" for name in columns)
        query = f"select {texts} from read_parquet('{source}/**/*.parquet', hive_partitioning = true) as t"
        return connection.execute(f"{query} order by t.symbol, t.{order_of(columns)}").fetchall()


def order_of(columns: Sequence[str]) -> str:
    return "open_time" if "open_time" in columns else "first_trade_id"


def as_text(table: pd.DataFrame, columns: Sequence[str]) -> Rows:
    """Return the rows of a pandas frame in PostgreSQL's text format."""
    ordered = table.assign(symbol=table["symbol"].astype(str)).sort_values(["symbol", order_of(columns)])
    return [tuple(map(_text, row)) for row in ordered[list(columns)].astype(object).itertuples(index=False)]


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value:f}"
        case datetime():
            fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
            return f"{value:%Y-%m-%d %H:%M:%S}{fraction}+00"
    return str(value)


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_the_folder(batch: Batch, table: str) -> None:
    columns, rows = wanted(batch, table)
    assert by_duckdb(str(batch.folder / "lake" / table), columns) == rows
    assert len(rows) >= 3


def test_the_snippet_of_the_docs_reads_the_folder(batch: Batch) -> None:
    page = (ROOT / "docs" / "read-api.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    with duckdb.connect() as connection:
        found = connection.execute(snippet.replace(".demo/objects", str(batch.folder / "lake"))).fetchall()
    hours: dict[tuple[str, datetime], list[Row]] = defaultdict(list)
    for (symbol, open_time), row in batch.rows("analytics.gold_klines_5m").items():
        hours[symbol, open_time.replace(minute=0)].append(row)
    assert len(found) == len(hours) == 5
    for symbol, hour, high, low, volume in found:
        rows = hours[symbol, hour]
        assert high == max(row["high"] for row in rows)
        assert low == min(row["low"] for row in rows)
        assert volume == sum(row["volume"] for row in rows)


@pytest.mark.parametrize("table", TABLES)
def test_pandas_reads_the_folder(batch: Batch, table: str) -> None:
    columns, rows = wanted(batch, table)
    read = pd.read_parquet(batch.folder / "lake" / table)
    assert set(read.columns) - set(columns) <= PARTITIONS
    assert as_text(read, columns) == rows


@pytest.mark.parametrize("table", TABLES)
def test_pandas_and_duckdb_read_from_s3(batch: Batch, s3: str, table: str) -> None:
    columns, rows = wanted(batch, table)
    store = fs.S3FileSystem(**KEYS, endpoint_override=s3, scheme="http", region="us-east-1")
    assert as_text(pd.read_parquet(table, filesystem=store), columns) == rows
    found = ds.dataset(table, filesystem=store, partitioning="hive")
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("found", found)
        texts = ", ".join(f"cast({name} as varchar)" for name in columns)
        query = f"select {texts} from found as t order by t.symbol, t.{order_of(columns)}"
        assert connection.execute(query).fetchall() == rows


@pytest.mark.spark
def test_spark_reads_the_folder(batch: Batch) -> None:
    columns = {str(batch.folder / "lake" / table): wanted(batch, table)[0] for table in TABLES}
    command = [str(python_of("spark")), "tests/read_lake_with_spark.py", json.dumps(columns)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    read = json.loads(done.stdout.splitlines()[-1])
    for table in TABLES:
        rows = [tuple(row) for row in read[str(batch.folder / "lake" / table)]]
        assert sorted(rows, key=str) == sorted(wanted(batch, table)[1], key=str)


def test_the_trades_in_bronze_add_up_to_the_candles(batch: Batch) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        source = batch.folder / "lake" / "bronze" / "trades"
        added = connection.execute(
            f"""
            select symbol, cast(date_trunc('minute', trade_time) as varchar),
                cast(arg_min(price, first_trade_id) as varchar), cast(max(price) as varchar),
                cast(min(price) as varchar), cast(arg_max(price, first_trade_id) as varchar),
                cast(sum(quantity) as varchar), cast(count(*) as varchar)
            from read_parquet('{source}/**/*.parquet') group by all order by 1, 2
            """
        ).fetchall()
    with batch.database.connect("reader") as connection_:
        candles = connection_.execute(
            "select symbol, open_time::text, open::text, high::text, low::text, close::text, volume::text, "
            "trade_count::text from fact_realtime_trades_1m as t order by symbol, t.open_time"
        ).fetchall()
    assert added == candles
    assert len(candles) > 50


def test_no_file_has_a_column_that_a_reader_would_round(batch: Batch) -> None:
    for file in (batch.folder / "lake").rglob("*.parquet"):
        for field in pq.read_schema(file):
            assert not pa.types.is_floating(field.type), (file, field)
            assert not pa.types.is_decimal(field.type) or field.type.precision <= 38, (file, field)


def test_in_s3_only_changed_days_are_written_again(batch: Batch, s3: str) -> None:
    store = Watched(client(s3))
    before = {(item.object_name, item.etag) for item in client(s3).list_objects("silver", recursive=True)}
    export(batch, store)
    assert store.written == []
    with batch.database.connect() as connection:
        connection.execute(
            "update analytics.silver_klines_1m set close = close, updated_at = clock_timestamp() "
            "where symbol = 'BTCUSDT' and open_time = %s",
            [NIGHT],
        )
    export(batch, store)
    day = "klines_1m/symbol=BTCUSDT/date=2026-01-04/part.parquet"
    assert store.written == [f"silver/{day}", "silver/klines_1m/_manifest.json"]
    after = {(item.object_name, item.etag) for item in client(s3).list_objects("silver", recursive=True)}
    assert {key for key, _ in before ^ after} == {day, "klines_1m/_manifest.json"}


class Reader(threading.Thread):
    """Reads a day's object repeatedly as a whole, and keeps the states that it saw."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        super().__init__(name="reader")
        self._store, self._key = store, key
        self.stop = Event()
        self.seen: set[tuple[int, frozenset[str]]] = set()
        self.looks = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                table = pq.read_table(BytesIO(self._store.get("silver", self._key)))
                self.seen.add((table.num_rows, frozenset(table["source"].to_pylist())))
                self.looks += 1
        except (ObjectNotFound, pa.ArrowException, OSError) as error:
            self.error = error


@pytest.mark.parametrize("kind", ["directory", "s3"])
def test_a_reader_never_meets_half_a_day(batch: Batch, s3: str, kind: str) -> None:
    """Each export rewrites the day with the same word in every row, so that a mixture of two states is visible."""
    store = stores(batch, s3)[kind == "s3"]
    export(batch, store)
    reader = Reader(store, "klines_1m/symbol=ETHUSDT/date=2026-01-05/part.parquet")
    reader.start()
    words = ["official", "realtime"] * 6
    try:
        with batch.database.connect() as connection:
            for word in words:
                connection.execute(
                    "update analytics.silver_klines_1m set source = %s, updated_at = clock_timestamp() "
                    "where symbol = 'ETHUSDT'",
                    [word],
                )
                export(batch, store)
            connection.execute("update analytics.silver_klines_1m set source = 'official' where symbol = 'ETHUSDT'")
    finally:
        reader.stop.set()
        reader.join()
    assert reader.error is None
    assert reader.looks > len(words)
    assert reader.seen == {(60, frozenset({"official"})), (60, frozenset({"realtime"}))}


def test_an_open_file_of_the_folder_stays_the_day_it_was(batch: Batch) -> None:
    """A reader that reads a file in several chunks sees one state: the file is replaced, not changed."""
    file = Path(batch.folder / "lake/silver/klines_1m/symbol=ETHUSDT/date=2026-01-04/part.parquet")
    with file.open("rb") as opened:
        parquet = pq.ParquetFile(opened)
        with batch.database.connect() as connection:
            connection.execute(
                "update analytics.silver_klines_1m set close = close + 1, updated_at = clock_timestamp() "
                "where symbol = 'ETHUSDT'"
            )
        before = file.stat().st_ino
        export(batch, DirectoryStore(batch.folder / "lake"))
        assert file.stat().st_ino != before
        old = parquet.read()["close"].to_pylist()
    new = pq.read_table(file)["close"].to_pylist()
    assert [value + 1 for value in old] == new
