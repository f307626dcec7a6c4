"""The raw archive: the values that a batch really adds, as received, one a line, in gzipped objects by symbol and hour.

An object is written first and listed in ``raw_objects`` by the transaction that merges its trades. One that is not
listed, left by a batch that failed, does not exist for readers; :mod:`.sweep` removes it when it is an hour old. So an
object is listed soon after it was written, or written again under another key: see :data:`REUSE_SECONDS`.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from io import BytesIO
from secrets import token_hex
from typing import NamedTuple

import numpy as np
from isal import igzip
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from crypto_analytics.core.lines import BytesColumn
from crypto_analytics.core.minutes import to_datetime
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.store.objects import ObjectStore

HOUR = 3_600_000_000
PREFIX = "trades/"
REUSE_SECONDS = 1800.0  # half of what the orphan cleanup waits, so that it never removes an object about to be listed
_COMPRESSION_LEVEL = 1
_TEXT_AT_ONCE = 2**20  # bytes


class RawObject(NamedTuple):
    """One archived object: ``hour`` is its start in microseconds, ids are the smallest and largest in it."""

    key: str
    symbol: str
    hour: int
    first_id: int
    last_id: int
    value_count: int
    byte_count: int


@dataclass(slots=True)
class _Upload:
    """An object of a batch; ``started`` is a time before its first put, ``written`` is None until a put succeeded."""

    symbol: str
    hour: int
    trades: TradeColumns
    key: str
    started: float
    written: RawObject | None = None


class Uploads:
    """The objects of one batch, over all attempts to merge it: what was written for an attempt serves the next one.

    An object is used only for exactly the trades that it holds, and only while it is younger than REUSE_SECONDS; else
    the same hour gets an object under a new key. Times are in seconds on one clock, which is the database's: it does
    not stand still with a machine that was suspended in between.
    """

    def __init__(self) -> None:
        self._current: dict[tuple[str, int], _Upload] = {}
        self.keys: set[str] = set()
        """Of all objects that were begun."""

    def plan(self, batch: Mapping[str, TradeColumns], now: float) -> list[_Upload]:
        """Return the uploads that the trades of ``batch`` (by symbol) need, written ones included."""
        planned = []
        for symbol, trades in batch.items():
            for hour, part in trades.by_period(HOUR):
                upload = self._current.get((symbol, hour))
                if upload is None or not _serves(upload, part, now):
                    first_id, last_id = int(part.first_ids.min()), int(part.last_ids.max())
                    key = f"{folder(symbol, hour)}{first_id}-{last_id}-{token_hex(6)}.jsonl.gz"
                    upload = self._current[symbol, hour] = _Upload(symbol, hour, part, key, now)
                    self.keys.add(key)
                planned.append(upload)
        return planned

    def written(self, batch: Mapping[str, TradeColumns], now: float) -> list[RawObject] | None:
        """Return the objects that hold exactly the trades of ``batch``; None where one has yet to be written."""
        objects = []
        for symbol, trades in batch.items():
            for hour, part in trades.by_period(HOUR):
                upload = self._current.get((symbol, hour))
                if upload is None or upload.written is None or not _serves(upload, part, now):
                    return None
                objects.append(upload.written)
        return objects


def _serves(upload: _Upload, part: TradeColumns, now: float) -> bool:
    """Whether the object is young enough to be listed and holds exactly ``part``."""
    return now - upload.started < REUSE_SECONDS and (
        upload.trades is part
        or (
            np.array_equal(upload.trades.first_ids, part.first_ids)
            and np.array_equal(upload.trades.last_ids, part.last_ids)
            and upload.trades.raws.to_lines() == part.raws.to_lines()
        )
    )


class RawArchive:
    """Writes and reads raw objects in one bucket; several puts of a batch run side by side."""

    def __init__(self, store: ObjectStore, bucket: str, writers: int = 8) -> None:
        self.store = store
        self.bucket = bucket
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="archive")

    def write(self, batch: Mapping[str, TradeColumns], uploads: Uploads, now: float) -> None:
        """Write the values of ``batch`` as far as ``uploads`` does not hold them; all are durable when this returns.

        Raises:
            OSError, minio's errors: a put failed. What other puts wrote is kept in ``uploads`` for the next attempt.
        """
        missing = [upload for upload in uploads.plan(batch, now) if upload.written is None]
        puts = [self._pool.submit(self._write_one, upload) for upload in missing]
        wait(puts, return_when=FIRST_EXCEPTION)
        for put in puts:
            put.cancel()  # those that have not begun when one failed
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
        """Delete objects (one or more) that will never be listed, and return how many are left to the orphan cleanup.

        They may be left: the S3 user of the one who merges may only add objects, or the store is away.
        """
        first, *others = keys
        if not self._delete(first):
            return 1 + len(others)
        return sum(not deleted for deleted in self._pool.map(self._delete, others))

    def _delete(self, key: str) -> bool:
        """Delete one object, and return whether the store did it."""
        try:
            self.store.delete(self.bucket, key)
        except (OSError, MinioException, HTTPError):
            return False
        return True

    def read(self, key: str) -> list[bytes]:
        """Return the values of one object. Raises ObjectNotFound."""
        return gzip.decompress(self.store.get(self.bucket, key)).split(b"\n")[:-1]


def folder(symbol: str, hour: int) -> str:
    """Return the key prefix of the objects of ``symbol`` in the hour that starts at ``hour`` (microseconds)."""
    start = to_datetime(hour)
    return f"{PREFIX}symbol={symbol}/date={start:%Y-%m-%d}/hour={start:%H}/"


def encode(values: BytesColumn) -> bytes:
    """Return ``values`` as gzipped lines."""
    return igzip.compress(values.to_lines(), _COMPRESSION_LEVEL)


def values_in(data: bytes) -> Iterator[list[bytes]]:
    """Yield the values of the object ``data``, some thousand at a time, without unpacking all of it.

    Raises:
        EOFError, OSError, ValueError: the object is damaged.
    """
    rest = b""
    with igzip.IGzipFile(fileobj=BytesIO(data)) as file:  # type: ignore[no-untyped-call]
        while text := file.read(_TEXT_AT_ONCE):
            *values, rest = (rest + text).split(b"\n")
            if values:
                yield values
    if rest:
        raise ValueError(f"an archived object ends within a value: {rest[:40]!r}")
