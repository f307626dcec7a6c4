"""An object store in memory, and the merge of a batch in one attempt."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import psycopg

from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.merge import BatchMerge, Merged
from crypto_analytics.store.objects import ObjectInfo, ObjectNotFound


class MemoryStore:
    """Objects in memory."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """See ObjectStore."""
        with self._lock:
            self._objects[bucket, key] = (data, datetime.now(UTC))

    def put_chunks(self, bucket: str, key: str, chunks: Iterable[bytes]) -> None:
        """See ObjectStore."""
        self.put(bucket, key, b"".join(chunks))

    def get(self, bucket: str, key: str) -> bytes:
        """See ObjectStore."""
        try:
            return self._objects[bucket, key][0]
        except KeyError as error:
            raise ObjectNotFound(f"{bucket}/{key}") from error

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        with self._lock:
            found = sorted(
                ObjectInfo(key, len(data), modified)
                for (its_bucket, key), (data, modified) in self._objects.items()
                if its_bucket == bucket and key.startswith(prefix)
            )
        yield from found

    def delete(self, bucket: str, key: str) -> None:
        """See ObjectStore."""
        with self._lock:
            self._objects.pop((bucket, key), None)


def merge_batch(connection: psycopg.Connection, archive: RawArchive, batch: Mapping[str, TradeColumns]) -> Merged:
    """Merge the trades of ``batch`` (by symbol) that are not merged yet, in one attempt.

    Raises:
        psycopg.Error, OSError, MinioException, HTTPError: the same batch may be merged again; see :class:`BatchMerge`.
    """
    return BatchMerge(archive, batch).run(connection)
