"""Compact the raw archive's small objects of each closed hour into one Parquet object per symbol and hour."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import numpy as np
import psycopg
import pyarrow as pa

from crypto_analytics.core.decimals import SCALE
from crypto_analytics.core.trades import Integers
from crypto_analytics.exporter.parquet import encode_in_parts
from crypto_analytics.exporter.partitions import Fingerprint
from crypto_analytics.exporter.raw_hour_reader import READERS, ListedObject, RawHourReader
from crypto_analytics.exporter.sorting import FIRST_ID, IS_MAKER, LAST_ID, PRICE, QUANTITY, TIME, sorted_by_id
from crypto_analytics.exporter.table_writer import ExportCounts, PartitionContent, TableWriter
from crypto_analytics.store.archive import RawArchive

TABLE = "trades"
_DECIMAL = pa.decimal128(19, SCALE)  # holds every 64-bit number of the exchange
_LISTED_AT_ONCE = 1_000  # rows of raw_objects in memory

SCHEMA = pa.schema(
    {
        "first_trade_id": pa.int64(),
        "last_trade_id": pa.int64(),
        "price": _DECIMAL,
        "quantity": _DECIMAL,
        "buyer_is_maker": pa.bool_(),
        "trade_time": pa.timestamp("us", tz="UTC"),
    }
)


def export(
    connection: psycopg.Connection,
    archive: RawArchive,
    bucket: str,
    stop: Event,
    *,
    now: datetime,
    days: int,
    batch_trades: int,
) -> ExportCounts:
    """Write the closed hours of the last ``days`` days that have new objects since they were last written.

    They go to ``bucket`` of the archive's store; older hours stay as they are. About ``batch_trades`` trades are in
    memory at a time, however many an hour has.

    Raises:
        psycopg.Error: the database is unreachable.
        ValueError: the content of the archive differs from ``raw_objects``.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="raw") as pool:

        @contextmanager
        def read(partition: str) -> Iterator[PartitionContent | None]:
            symbol, hour = _parse(partition)
            # In one snapshot, each pass over the list reads the objects of the fingerprint.
            with connection.transaction():
                connection.execute("set transaction isolation level repeatable read")
                fingerprint = _fingerprint(connection, symbol, hour)
                if fingerprint is None:
                    yield None
                    return

                def listed(first_id: int) -> Iterator[ListedObject]:
                    return _listed(connection, symbol, hour, first_id)

                raw = RawHourReader(archive, symbol, listed, pool, stop)
                yield PartitionContent(encode_hour(raw, fingerprint.rows, batch_trades), fingerprint)

        wanted = _fingerprints(connection, now - timedelta(days=days), now - timedelta(hours=1))
        return TableWriter(archive.store, bucket, TABLE, str(SCHEMA)).update(wanted, read, stop, prune=False)


def encode_hour(raw: RawHourReader, count: int, batch_trades: int) -> Iterator[bytes]:
    """Yield the parts of a Parquet file of the hour's ``count`` trades, in the order of their ids.

    Raises:
        ValueError: the objects hold more or fewer trades, or invalid ones; the yielded parts are then no whole file.
    """

    def tables() -> Iterator[pa.Table]:
        found = 0
        for trades in sorted_by_id(raw.chunks, batch_trades):
            found += trades.shape[1]
            yield _table(trades)
        if found != count:
            raise ValueError(f"raw_objects lists {count} trades of the hour, and its objects hold {found}")

    return encode_in_parts(SCHEMA, tables())


def _table(trades: Integers) -> pa.Table:
    arrays = [
        pa.array(trades[FIRST_ID]),
        pa.array(trades[LAST_ID]),
        _decimals(trades[PRICE]),
        _decimals(trades[QUANTITY]),
        pa.array(trades[IS_MAKER].astype(np.bool_)),
        pa.array(trades[TIME]).view(SCHEMA.field("trade_time").type),
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _decimals(scaled: Integers) -> pa.Array:
    """Return positive integers in units of 10^-8 as Arrow decimals: 128-bit integers, the lower half first."""
    halves = np.zeros((len(scaled), 2), np.int64)
    halves[:, 0] = scaled
    return pa.Array.from_buffers(_DECIMAL, len(scaled), [None, pa.py_buffer(halves)])


def _fingerprints(connection: psycopg.Connection, first: datetime, last: datetime) -> dict[str, Fingerprint]:
    query = """
        select symbol, hour, sum(value_count)::bigint, max(created_at)
        from raw_objects
        where hour between %s and %s
        group by symbol, hour
    """
    rows = connection.execute(query, [first, last])
    return {
        f"symbol={symbol}/date={hour:%Y-%m-%d}/hour={hour:%H}": Fingerprint(count, newest)
        for symbol, hour, count, newest in rows
    }


def _fingerprint(connection: psycopg.Connection, symbol: str, hour: datetime) -> Fingerprint | None:
    query = "select sum(value_count)::bigint, max(created_at) from raw_objects where symbol = %s and hour = %s"
    row = connection.execute(query, [symbol, hour]).fetchone()
    return None if row is None or row[0] is None else Fingerprint(*row)


def _listed(connection: psycopg.Connection, symbol: str, hour: datetime, first_id: int) -> Iterator[ListedObject]:
    query = """
        select object_key, first_id, byte_count
        from raw_objects
        where symbol = %s and hour = %s and last_id >= %s
        order by first_id, object_key
    """
    with connection.cursor("listed_objects") as cursor:  # a server-side cursor: the list grows with the hour
        cursor.itersize = _LISTED_AT_ONCE
        for row in cursor.execute(query, [symbol, hour, first_id]):
            yield ListedObject(*row)


def _parse(partition: str) -> tuple[str, datetime]:
    symbol, day, hour = (part.partition("=")[2] for part in partition.split("/"))
    return symbol, datetime.fromisoformat(day).replace(hour=int(hour), tzinfo=UTC)
