"""The raw archive: the JSON of the trades that a batch adds, as received, in gzipped JSON lines by symbol and hour.

An object is written first and then listed in ``raw_objects`` by the transaction that merges its trades. Readers ignore
objects that are not listed, which failed batches leave; the orphan cleanup deletes them when they are an hour old. An
object is therefore listed soon after it was written, or written again under another key: see :data:`REUSE_SECONDS`.
"""

import gzip
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from secrets import token_hex
from typing import NamedTuple

import numpy as np
from isal import igzip
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from crypto_analytics.core.bytes_column import BytesColumn
from crypto_analytics.core.minutes import to_datetime
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.store.objects import ObjectStore

HOUR = 3_600_000_000
PREFIX = "trades/"
REUSE_SECONDS = 1800.0  # half of the orphan cleanup's grace period: it must not delete an object about to be listed
_COMPRESSION_LEVEL = 1


class RawObject(NamedTuple):
    """One archived object: ``hour`` starts at that time in microseconds, the ids are the smallest and largest in it."""

    key: str
    symbol: str
    hour: int
    first_id: int
    last_id: int
    value_count: int
    byte_count: int


@dataclass(slots=True)
class _Upload:
    """An object of a batch; ``started`` is a time before its first put, ``written`` is None until a put succeeds."""

    symbol: str
    hour: int
    trades: TradeColumns
    key: str
    started: float
    written: RawObject | None = None


class Uploads:
    """The objects of one batch across all attempts to merge it: objects written for one attempt are reused by the next.

    An object is reused only for exactly the trades that it contains, and only while it is younger than REUSE_SECONDS;
    otherwise the hour gets an object under a new key. Times are in seconds of the database's clock, which continues
    while this machine is suspended.
    """

    def __init__(self) -> None:
        self._current: dict[tuple[str, int], _Upload] = {}
        self.keys: set[str] = set()
        """Keys of all objects of which a put was started."""

    def plan(self, batch: Mapping[str, TradeColumns], now: float) -> list[_Upload]:
        """Return the uploads for the trades of ``batch`` (by symbol), including those already written."""
        planned = []
        for symbol, trades in batch.items():
            for hour, part in trades.by_period(HOUR):
                upload = self._current.get((symbol, hour))
                if upload is None or not _is_reusable(upload, part, now):
                    first_id, last_id = int(part.first_ids.min()), int(part.last_ids.max())
                    key = f"{folder(symbol, hour)}{first_id}-{last_id}-{token_hex(6)}.jsonl.gz"
                    upload = self._current[symbol, hour] = _Upload(symbol, hour, part, key, now)
                    self.keys.add(key)
                planned.append(upload)
        return planned

    def written(self, batch: Mapping[str, TradeColumns], now: float) -> list[RawObject] | None:
        """Return the objects with exactly the trades of ``batch``; None if any of them is not written yet."""
        objects = []
        for symbol, trades in batch.items():
            for hour, part in trades.by_period(HOUR):
                upload = self._current.get((symbol, hour))
                if upload is None or upload.written is None or not _is_reusable(upload, part, now):
                    return None
                objects.append(upload.written)
        return objects


def _is_reusable(upload: _Upload, part: TradeColumns, now: float) -> bool:
    """Return whether the object is young enough to be listed and contains exactly the trades ``part``."""
    return now - upload.started < REUSE_SECONDS and (
        upload.trades is part
        or (
            np.array_equal(upload.trades.first_ids, part.first_ids)
            and np.array_equal(upload.trades.last_ids, part.last_ids)
            and upload.trades.raws.to_lines() == part.raws.to_lines()
        )
    )


class RawArchive:
    """Writes and reads raw objects in one bucket; the puts of a batch run in up to ``writers`` threads."""

    def __init__(self, store: ObjectStore, bucket: str, writers: int = 8) -> None:
        self.store = store
        self.bucket = bucket
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="archive")

    def write(self, batch: Mapping[str, TradeColumns], uploads: Uploads, now: float) -> None:
        """Write the objects of ``batch`` that ``uploads`` does not have yet; all are durable when this returns.

        Raises:
            OSError, MinioException, HTTPError: a put failed. ``uploads`` keeps the objects of the others for a retry.
        """
        missing = [upload for upload in uploads.plan(batch, now) if upload.written is None]
        puts = [self._pool.submit(self._write_one, upload) for upload in missing]
        wait(puts, return_when=FIRST_EXCEPTION)
        for put in puts:
            put.cancel()  # no effect on puts that are running
        wait(puts)
        for put in puts:
            if not put.cancelled():
                put.result()

    def _write_one(self, upload: _Upload) -> None:
        trades = upload.trades
        first_id, last_id = int(trades.first_ids.min()), int(trades.last_ids.max())
        data = encode(trades.raws)
        self.store.put(self.bucket, upload.key, data)
        upload.written = RawObject(upload.key, upload.symbol, upload.hour, first_id, last_id, len(trades), len(data))

    def discard(self, keys: Iterable[str]) -> int:
        """Delete one or more objects that will never be listed; return how many could not be deleted.

        The orphan cleanup deletes those later. The S3 user of the service may lack the permission to delete objects, or
        the store may be unreachable.
        """
        first, *others = keys
        if not self._delete(first):
            return 1 + len(others)
        return sum(not deleted for deleted in self._pool.map(self._delete, others))

    def _delete(self, key: str) -> bool:
        """Delete one object and return whether that succeeded."""
        try:
            self.store.delete(self.bucket, key)
        except (OSError, MinioException, HTTPError):
            return False
        return True

    def read(self, key: str) -> list[bytes]:
        """Return the JSON values of one object. Raises ObjectNotFound."""
        return gzip.decompress(self.store.get(self.bucket, key)).split(b"\n")[:-1]


def folder(symbol: str, hour: int) -> str:
    """Return the key prefix of the objects of ``symbol`` in the hour that starts at ``hour`` (microseconds)."""
    start = to_datetime(hour)
    return f"{PREFIX}symbol={symbol}/date={start:%Y-%m-%d}/hour={start:%H}/"


def encode(values: BytesColumn) -> bytes:
    """Return ``values`` as gzipped lines, one value per line."""
    return igzip.compress(values.to_lines(), _COMPRESSION_LEVEL)
