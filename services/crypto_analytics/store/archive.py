"""The raw archive: the values that a batch really adds, as received, one a line, in gzipped objects by symbol and hour.

An object is written first and listed in ``raw_objects`` by the transaction that merges its trades. One that is not
listed, left by a batch that failed or was tried again, does not exist for readers; :mod:`.sweep` removes it.
"""

import gzip
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import NamedTuple

from isal import igzip

from crypto_analytics.core.lines import Lines
from crypto_analytics.core.minutes import to_datetime
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.store.objects import ObjectStore

HOUR = 3_600_000_000
PREFIX = "trades/"
_COMPRESSION_LEVEL = 1


class RawObject(NamedTuple):
    """One archived object: ``hour`` is its start in microseconds, ids are the smallest and largest in it."""

    key: str
    symbol: str
    hour: int
    first_id: int
    last_id: int
    value_count: int
    byte_count: int


class RawArchive:
    """Writes and reads raw objects in one bucket; several puts of a batch run side by side."""

    def __init__(self, store: ObjectStore, bucket: str, writers: int = 8) -> None:
        self.store = store
        self.bucket = bucket
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="archive")

    def write(self, batch: Mapping[str, TradeColumns]) -> list[RawObject]:
        """Write the values of ``batch`` and return the objects to list; all are durable when this returns."""
        token = token_hex(6)  # a retry never touches an object that an earlier try may have listed
        parts = [(symbol, hour, part) for symbol, trades in batch.items() for hour, part in trades.by_period(HOUR)]
        return list(self._pool.map(lambda part: self._write_one(*part, token=token), parts))

    def _write_one(self, symbol: str, hour: int, trades: TradeColumns, *, token: str) -> RawObject:
        first_id, last_id = int(trades.first_ids.min()), int(trades.last_ids.max())
        key = f"{folder(symbol, hour)}{first_id}-{last_id}-{token}.jsonl.gz"
        data = encode(trades.raws)
        self.store.put(self.bucket, key, data)
        return RawObject(key, symbol, hour, first_id, last_id, len(trades), len(data))

    def read(self, key: str) -> list[bytes]:
        """Return the values of one object. Raises ObjectNotFound."""
        return gzip.decompress(self.store.get(self.bucket, key)).split(b"\n")[:-1]


def folder(symbol: str, hour: int) -> str:
    """Return the key prefix of the objects of ``symbol`` in the hour that starts at ``hour`` (microseconds)."""
    start = to_datetime(hour)
    return f"{PREFIX}symbol={symbol}/date={start:%Y-%m-%d}/hour={start:%H}/"


def encode(values: Lines) -> bytes:
    """Return ``values`` as gzipped lines."""
    return igzip.compress(values.text(), _COMPRESSION_LEVEL)
