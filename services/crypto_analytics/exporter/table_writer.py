"""Bring one table's partitions in the object store up to date, and remember it in the table's manifest."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from threading import Event
from typing import NamedTuple

from crypto_analytics.exporter.partitions import MANIFEST, Fingerprint, Manifest, key_of, partition_of, plan
from crypto_analytics.runtime.metrics import PARTITIONS_EXPORTED
from crypto_analytics.store.objects import ObjectNotFound, ObjectStore

_REMEMBER_SECONDS = 10.0


class ExportStopped(Exception):
    """The exporter was told to stop while a partition was read; the partition is as it was before."""


class PartitionContent(NamedTuple):
    """The bytes of a partition's object in parts, and the fingerprint of the very rows in it."""

    parts: Iterable[bytes]
    fingerprint: Fingerprint


Read = Callable[[str], AbstractContextManager[PartitionContent | None]]


class ExportCounts(NamedTuple):
    """How many partitions there are, were written, and were removed."""

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
        layout: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bucket = bucket
        self._table = table
        self._manifest_key = f"{table}/{MANIFEST}"
        self._manifest = self._read_manifest(layout)
        self._remembered_at = clock()

    def update(self, wanted: Mapping[str, Fingerprint], read: Read, stop: Event, *, prune: bool = True) -> ExportCounts:
        """Write what differs from ``wanted``; what is not wanted is removed, unless ``prune`` is false.

        ``read`` opens a partition's content, or None where it has become empty meanwhile. Ends early once ``stop`` is
        set; what was done stays done. It is remembered every few seconds, so that a run that is killed gets further
        than the one before it.
        """
        listed = self._store.list(self._bucket, f"{self._table}/")
        present = {part for info in listed if (part := partition_of(self._table, info.key)) is not None}
        todo = plan(wanted, self._manifest, present)
        written = removed = 0
        self._remembered_at = self._clock()
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
                if self._clock() - self._remembered_at >= _REMEMBER_SECONDS:
                    self._remember()
        except ExportStopped:
            pass  # as between two partitions
        finally:
            if written or removed:
                self._remember()
        return ExportCounts(len(wanted), written, removed)

    def _write(self, partition: str, read: Read) -> bool:
        """Write ``partition`` and return True, or return False where it is empty."""
        with read(partition) as content:
            if content is None:
                return False
            self._store.put_chunks(self._bucket, key_of(self._table, partition), content.parts)
            self._manifest.partitions[partition] = content.fingerprint
            return True

    def _remember(self) -> None:
        self._store.put(self._bucket, self._manifest_key, self._manifest.encode())
        self._remembered_at = self._clock()

    def _remove(self, partition: str) -> None:
        self._store.delete(self._bucket, key_of(self._table, partition))
        self._manifest.partitions.pop(partition, None)

    def _read_manifest(self, layout: str) -> Manifest:
        try:
            return Manifest.decode(self._store.get(self._bucket, self._manifest_key), layout)
        except ObjectNotFound:
            return Manifest(layout)
