"""Export the silver and gold candles: one Parquet object per table, symbol and UTC day."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from threading import Event
from typing import NamedTuple

import psycopg
from psycopg import sql

from crypto_analytics.exporter.parquet import encode, schema_of
from crypto_analytics.exporter.partitions import IN_PATH, Fingerprint
from crypto_analytics.exporter.table_writer import ExportCounts, PartitionContent, TableWriter
from crypto_analytics.store.objects import ObjectStore


class CandleTable(NamedTuple):
    """A table that dbt builds, and its name in the lake."""

    relation: str
    name: str


SILVER = (CandleTable("silver_klines_1m", "klines_1m"),)
GOLD = (CandleTable("gold_klines_5m", "klines_5m"), CandleTable("gold_klines_1h", "klines_1h"))


def export(
    connection: psycopg.Connection, store: ObjectStore, bucket: str, table: CandleTable, stop: Event
) -> ExportCounts:
    """Write the days of ``table`` that have changed since they were last written.

    Raises:
        psycopg.Error: the database is unreachable, or the table does not exist.
        NoExactType: a column has no exact Parquet type.
        TooManyDigits: a value does not fit the lake's decimals.
    """
    relation = sql.Identifier("analytics", table.relation)
    described = connection.execute(sql.SQL("select * from {} limit 0").format(relation)).description
    assert described is not None  # every select has a description
    columns = [column for column in described if column.name != IN_PATH]
    schema = schema_of(columns)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    changed_at = schema.get_field_index("updated_at")

    @contextmanager
    def read(partition: str) -> Iterator[PartitionContent | None]:
        symbol, day = _parse(partition)
        start = datetime.combine(day, time(), UTC)
        query = "select {} from {} where symbol = %s and open_time >= %s and open_time < %s order by open_time"
        cursor = connection.execute(sql.SQL(query).format(names, relation), [symbol, start, start + timedelta(days=1)])
        rows = cursor.fetchall()
        if not rows:
            yield None
            return
        values = list(zip(*rows, strict=True))  # at most 1,440 rows per day
        yield PartitionContent([encode(schema, values)], Fingerprint(len(rows), max(values[changed_at])))

    wanted = _fingerprints(connection, relation)
    return TableWriter(store, bucket, table.name, str(schema)).update(wanted, read, stop)


def _fingerprints(connection: psycopg.Connection, relation: sql.Identifier) -> dict[str, Fingerprint]:
    query = """
        select symbol, (open_time at time zone 'UTC')::date, count(*), max(updated_at)
        from {}
        group by 1, 2
    """
    rows = connection.execute(sql.SQL(query).format(relation))
    return {f"symbol={symbol}/date={day}": Fingerprint(count, newest) for symbol, day, count, newest in rows}


def _parse(partition: str) -> tuple[str, date]:
    symbol, day = (part.partition("=")[2] for part in partition.split("/"))
    return symbol, date.fromisoformat(day)
