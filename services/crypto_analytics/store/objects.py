"""The object store interface and its implementations: S3 and a directory. Puts are atomic."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from mimetypes import guess_type
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, NamedTuple, Protocol, cast

import certifi
from minio import Minio
from minio.error import S3Error
from urllib3 import PoolManager, Retry, Timeout

from crypto_analytics.runtime.settings import ObjectStoreSettings

# S3 allows 10,000 parts, which limits an object to 80 GiB. One part at a time is in memory, in up to three copies.
_PART_BYTES = 8 * 2**20


class ObjectInfo(NamedTuple):
    """An object's key within its bucket, its size in bytes, and the time of its last write."""

    key: str
    size: int
    modified: datetime


class ObjectNotFound(KeyError):
    """There is no object with this key."""


class ObjectStore(Protocol):
    """The operations of an object store that the platform uses."""

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Create or replace an object. It is durable when this returns."""

    def put_chunks(self, bucket: str, key: str, chunks: Iterable[bytes]) -> None:
        """Create or replace the object that consists of ``chunks``, without having all of it in memory.

        An error of the iterator is raised here, and the object is not changed.
        """

    def get(self, bucket: str, key: str) -> bytes:
        """Return an object's content. Raises ObjectNotFound."""

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with ``prefix``, in the order of their keys."""

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object, if it exists."""


class DirectoryStore:
    """Objects as files below a folder; buckets are its first level."""

    _PARTIAL = ".partial-"

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """See ObjectStore. The file and its folder entry are synced to disk before this returns."""
        self.put_chunks(bucket, key, [data])

    def put_chunks(self, bucket: str, key: str, chunks: Iterable[bytes]) -> None:
        """See ObjectStore. The file and its folder entry are synced to disk before this returns."""
        path = self._path(bucket, key)
        self._make_folder(path.parent)
        partial = path.with_name(f"{self._PARTIAL}{token_hex(8)}")
        try:
            with partial.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        self._sync_folder(path.parent)

    def get(self, bucket: str, key: str) -> bytes:
        """See ObjectStore."""
        try:
            return self._path(bucket, key).read_bytes()
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{bucket}/{key}") from error

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        folder = self._root / bucket
        start = folder / prefix.rpartition("/")[0]
        found = []
        for path in start.rglob("*"):
            key = path.relative_to(folder).as_posix()
            if not key.startswith(prefix) or path.name.startswith(self._PARTIAL):
                continue
            with suppress(FileNotFoundError):  # deleted since it was listed
                if path.is_file():
                    status = path.stat()
                    found.append(ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
        yield from sorted(found)

    def delete(self, bucket: str, key: str) -> None:
        """See ObjectStore."""
        self._path(bucket, key).unlink(missing_ok=True)

    def _path(self, bucket: str, key: str) -> Path:
        parts = [bucket, *key.split("/")]
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{bucket}/{key} is not a valid object key")
        return self._root.joinpath(*parts)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._sync_folder(folder.parent)

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class S3Store:
    """Objects in any S3 service, which guarantees that puts are atomic and durable."""

    def __init__(self, client: Minio) -> None:
        self._client = client

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """See ObjectStore."""
        self._client.put_object(bucket, key, BytesIO(data), len(data), content_type=content_type(key))

    def put_chunks(self, bucket: str, key: str, chunks: Iterable[bytes]) -> None:
        """See ObjectStore. A large object is a multipart upload, which is aborted if ``chunks`` raises an error."""
        self._client.put_object(
            bucket,
            key,
            cast(BinaryIO, _Stream(chunks)),  # the client only calls read
            -1,
            part_size=_PART_BYTES,
            num_parallel_uploads=1,
            content_type=content_type(key),
        )

    def get(self, bucket: str, key: str) -> bytes:
        """See ObjectStore."""
        try:
            response = self._client.get_object(bucket, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise ObjectNotFound(f"{bucket}/{key}") from error
            raise
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        for item in self._client.list_objects(bucket, prefix=prefix, recursive=True):
            if item.object_name and item.last_modified and not item.is_dir:
                yield ObjectInfo(item.object_name, item.size or 0, item.last_modified)

    def delete(self, bucket: str, key: str) -> None:
        """See ObjectStore."""
        self._client.remove_object(bucket, key)


class _Stream:
    """A readable binary stream of the concatenated ``chunks``."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return 1 to ``size`` bytes, or b"" at the end."""
        while not self._chunk:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._chunk = memoryview(chunk)
        data, self._chunk = bytes(self._chunk[:size]), self._chunk[size:]
        return data


def content_type(key: str) -> str:
    """Return the content type for a key. Unknown and compressed types are for a browser to download, not to show."""
    kind, encoding = guess_type(key)
    if kind is None or encoding is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def open_store(settings: ObjectStoreSettings) -> ObjectStore:
    """Return the object store of the settings."""
    if settings.OBJECT_STORE == "directory":
        assert settings.OBJECT_STORE_DIR is not None  # validated by the settings
        return DirectoryStore(settings.OBJECT_STORE_DIR)
    return S3Store(s3_client(settings))


def s3_client(settings: ObjectStoreSettings) -> Minio:
    """Return a client of the S3 service of the settings."""
    return Minio(
        settings.S3_ENDPOINT,
        access_key=settings.S3_ACCESS_KEY,
        secret_key=settings.S3_SECRET_KEY.get_secret_value(),
        secure=settings.S3_SECURE,
        region=settings.S3_REGION,
        http_client=http_client(),
    )


def http_client() -> PoolManager:
    """Return an HTTP client that times out after seconds; minio's default waits five minutes, six times."""
    return PoolManager(
        timeout=Timeout(connect=3, read=10),
        retries=Retry(total=1, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        maxsize=16,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
