"""Bring one table's partitions in the object store up to date, and remember it in the table's manifest."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import NamedTuple

from crypto_analytics.exporter.partitions import MANIFEST, Fingerprint, Manifest, key_of, partition_of, plan
from crypto_analytics.runtime.metrics import PARTITIONS_EXPORTED
from crypto_analytics.store.objects import ObjectNotFound, ObjectStore


class Content(NamedTuple):
    """A partition's object, and the fingerprint of the very rows in it."""

    data: bytes
    fingerprint: Fingerprint


Read = Callable[[str], Content | None]


class Written(NamedTuple):
    """How many partitions there are, were written, and were removed."""

    partitions: int
    written: int
    removed: int


class TableWriter:
    """Writes the partitions of ``table`` in ``bucket``."""

    def __init__(self, store: ObjectStore, bucket: str, table: str, layout: str) -> None:
        self._store = store
        self._bucket = bucket
        self._table = table
        self._manifest_key = f"{table}/{MANIFEST}"
        self._manifest = self._read_manifest(layout)

    def update(self, wanted: Mapping[str, Fingerprint], read: Read, stop: Event, *, prune: bool = True) -> Written:
        """Write what differs from ``wanted``; what is not wanted is removed, unless ``prune`` is false.

        ``read`` returns a partition's content, or None where it has become empty meanwhile. Ends early once ``stop``
        is set; what was done stays done, and is remembered even if an error ends it.
        """
        listed = self._store.list(self._bucket, f"{self._table}/")
        present = {part for info in listed if (part := partition_of(self._table, info.key)) is not None}
        todo = plan(wanted, self._manifest, present)
        written = removed = 0
        try:
            for partition in todo.remove if prune else ():
                self._remove(partition)
                removed += 1
            for partition in todo.write:
                if stop.is_set():
                    break
                content = read(partition)
                if content is None:
                    continue
                self._store.put(self._bucket, key_of(self._table, partition), content.data)
                self._manifest.partitions[partition] = content.fingerprint
                written += 1
                PARTITIONS_EXPORTED.labels(self._table).inc()
        finally:
            if written or removed:
                self._store.put(self._bucket, self._manifest_key, self._manifest.encode())
        return Written(len(wanted), written, removed)

    def _remove(self, partition: str) -> None:
        self._store.delete(self._bucket, key_of(self._table, partition))
        self._manifest.partitions.pop(partition, None)

    def _read_manifest(self, layout: str) -> Manifest:
        try:
            return Manifest.decode(self._store.get(self._bucket, self._manifest_key), layout)
        except ObjectNotFound:
            return Manifest(layout)
