"""The raw archive's small objects of a closed hour, compacted to one Parquet object per symbol and hour."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from threading import Event

import psycopg
import pyarrow as pa

from crypto_analytics.binance.wire import Rules, decode_batch
from crypto_analytics.core.decimals import SCALE
from crypto_analytics.core.minutes import to_datetime
from crypto_analytics.core.trades import Trade
from crypto_analytics.exporter.parquet import encode
from crypto_analytics.exporter.partitions import Fingerprint
from crypto_analytics.exporter.writer import Content, TableWriter, Written
from crypto_analytics.store.archive import RawArchive

TABLE = "trades"
_READERS = 8  # objects fetched side by side
_EVER = 2**62  # the archive holds what was judged already
_DECIMAL = pa.decimal128(19, SCALE)  # the exchange's 64-bit numbers

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
    connection: psycopg.Connection, archive: RawArchive, bucket: str, stop: Event, *, now: datetime, days: int
) -> Written:
    """Write the hours that ended between ``days`` before ``now`` and ``now`` and got objects since they were written.

    They go to ``bucket`` of the archive's store. Hours older than that stay as they are.

    Raises:
        psycopg.Error: the database is away.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="raw") as pool:

        def read(partition: str) -> Content | None:
            symbol, hour = _parse(partition)
            query = "select object_key, value_count, created_at from raw_objects where symbol = %s and hour = %s"
            objects = connection.execute(query, [symbol, hour]).fetchall()
            if not objects:
                return None
            values = list(chain.from_iterable(pool.map(archive.read, [key for key, _, _ in objects])))
            fingerprint = Fingerprint(sum(count for _, count, _ in objects), max(at for _, _, at in objects))
            return Content(encode_trades(symbol, values), fingerprint)

        wanted = _fingerprints(connection, now - timedelta(days=days), now - timedelta(hours=1))
        return TableWriter(archive.store, bucket, TABLE, str(SCHEMA)).update(wanted, read, stop, prune=False)


def encode_trades(symbol: str, values: list[bytes]) -> bytes:
    """Return the archived ``values`` as Parquet, in the order of their ids."""
    decoded = decode_batch(values, Rules(frozenset({symbol}), _EVER))
    if decoded.bad:
        raise ValueError(f"{len(decoded.bad)} archived values of {symbol} are no trades: {decoded.bad[0][1]}")
    trades = sorted(decoded.by_symbol()[symbol].rows())
    return encode(SCHEMA, list(zip(*map(_row, trades), strict=True)))


def _row(trade: Trade) -> tuple[object, ...]:
    return (
        trade.first_id,
        trade.last_id,
        Decimal(trade.price).scaleb(-SCALE),
        Decimal(trade.quantity).scaleb(-SCALE),
        trade.buyer_is_maker,
        to_datetime(trade.time),
    )


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


def _parse(partition: str) -> tuple[str, datetime]:
    symbol, day, hour = (part.partition("=")[2] for part in partition.split("/"))
    return symbol, datetime.fromisoformat(day).replace(hour=int(hour), tzinfo=UTC)
