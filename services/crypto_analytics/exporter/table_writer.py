"""Update the partitions of one table in the object store, and record them in the table's manifest."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from threading import Event
from typing import NamedTuple

from crypto_analytics.exporter.partitions import MANIFEST, Fingerprint, Manifest, key_of, partition_of, plan
from crypto_analytics.runtime.metrics import PARTITIONS_EXPORTED
from crypto_analytics.store.objects import ObjectNotFound, ObjectStore

_MANIFEST_SECONDS = 10.0


class ExportStopped(Exception):
    """The stop event was set while a partition was read; the partition is unchanged."""


class PartitionContent(NamedTuple):
    """The bytes of a partition's object in parts, and the fingerprint of exactly those rows."""

    parts: Iterable[bytes]
    fingerprint: Fingerprint


Read = Callable[[str], AbstractContextManager[PartitionContent | None]]


class ExportCounts(NamedTuple):
    """The number of partitions in the table, of those written, and of those removed."""

    partitions: int
    written: int
    removed: int


class TableWriter:
    """Writes the partitions of ``table`` in ``bucket``."""

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        table: str,
        schema: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bucket = bucket
        self._table = table
        self._manifest_key = f"{table}/{MANIFEST}"
        self._manifest = self._read_manifest(schema)
        self._manifest_written_at = clock()

    def update(self, wanted: Mapping[str, Fingerprint], read: Read, stop: Event, *, prune: bool = True) -> ExportCounts:
        """Write the partitions that differ from ``wanted``, and remove those not wanted unless ``prune`` is False.

        ``read`` opens a partition's content, or None if the partition has become empty. The update ends early once
        ``stop`` is set and keeps what it has written. The manifest is written every few seconds, so that each run gets
        further than a killed one before it.

        Raises:
            Exception: any error of ``read`` or of the store; the partitions written before stay in the manifest.
        """
        listed = self._store.list(self._bucket, f"{self._table}/")
        present = {part for info in listed if (part := partition_of(self._table, info.key)) is not None}
        todo = plan(wanted, self._manifest, present)
        written = removed = 0
        self._manifest_written_at = self._clock()
        try:
            for partition in todo.remove if prune else ():
                self._remove(partition)
                removed += 1
            for partition in todo.write:
                if stop.is_set():
                    break
                if not self._write(partition, read):
                    continue
                written += 1
                PARTITIONS_EXPORTED.labels(self._table).inc()
                if self._clock() - self._manifest_written_at >= _MANIFEST_SECONDS:
                    self._write_manifest()
        except ExportStopped:
            pass  # the same as a stop between two partitions
        finally:
            if written or removed:
                self._write_manifest()
        return ExportCounts(len(wanted), written, removed)

    def _write(self, partition: str, read: Read) -> bool:
        """Write ``partition`` and return True; return False if it is empty."""
        with read(partition) as content:
            if content is None:
                return False
            self._store.put_chunks(self._bucket, key_of(self._table, partition), content.parts)
            self._manifest.partitions[partition] = content.fingerprint
            return True

    def _write_manifest(self) -> None:
        self._store.put(self._bucket, self._manifest_key, self._manifest.encode())
        self._manifest_written_at = self._clock()

    def _remove(self, partition: str) -> None:
        self._store.delete(self._bucket, key_of(self._table, partition))
        self._manifest.partitions.pop(partition, None)

    def _read_manifest(self, schema: str) -> Manifest:
        try:
            return Manifest.decode(self._store.get(self._bucket, self._manifest_key), schema)
        except ObjectNotFound:
            return Manifest(schema)
