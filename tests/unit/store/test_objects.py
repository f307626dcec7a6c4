"""Store objects in memory, in a directory or in S3 with the same behaviour."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from minio import Minio
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import DirectoryStore, ObjectNotFound, ObjectStore, S3Store, open_store
from crypto_analytics.store.retryable_errors import is_retryable
from tests.stores import MemoryStore


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Yield the address of an S3 service that runs in this process."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "directory":
        return open_store(ObjectStoreSettings(OBJECT_STORE="directory", OBJECT_STORE_DIR=tmp_path / "objects"))
    endpoint, keys = request.getfixturevalue("s3"), {"access_key": uuid4().hex, "secret_key": uuid4().hex}
    client = Minio(endpoint, **keys, secure=False, region="us-east-1")
    for bucket in ("raw", "gold"):
        if client.bucket_exists(bucket):
            for item in client.list_objects(bucket, recursive=True):
                client.remove_object(bucket, str(item.object_name))
        else:
            client.make_bucket(bucket)
    settings = {"S3_ACCESS_KEY": keys["access_key"], "S3_SECRET_KEY": SecretStr(keys["secret_key"])}
    return open_store(ObjectStoreSettings(OBJECT_STORE="s3", S3_ENDPOINT=endpoint, S3_SECURE=False, **settings))


def test_an_object_can_be_put_read_listed_replaced_and_deleted(store: ObjectStore) -> None:
    store.put("raw", "trades/symbol=A/1", b"one")
    store.put("raw", "trades/symbol=A/2", b"two")
    store.put("raw", "trades/symbol=AB/3", b"three")
    store.put("gold", "trades/symbol=A/1", b"elsewhere")
    store.put("raw", "trades/symbol=A/1", b"uno")
    assert store.get("raw", "trades/symbol=A/1") == b"uno"
    assert [(info.key, info.size) for info in store.list("raw", "trades/symbol=A/")] == [
        ("trades/symbol=A/1", 3),
        ("trades/symbol=A/2", 3),
    ]
    assert [info.key for info in store.list("raw", "trades/symbol=A")][-1] == "trades/symbol=AB/3"
    store.delete("raw", "trades/symbol=A/1")
    store.delete("raw", "trades/symbol=A/1")
    assert len(list(store.list("raw"))) == 2
    with pytest.raises(ObjectNotFound):
        store.get("raw", "trades/symbol=A/1")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("site/index.html", "text/html; charset=utf-8"),
        ("site/static/styles/page.css", "text/css; charset=utf-8"),
        ("site/static/images/logo.png", "image/png"),
        ("trades/symbol=A/1.jsonl.gz", "application/octet-stream"),
        ("trades/symbol=A/part.parquet", "application/octet-stream"),
    ],
)
def test_an_object_has_a_content_type(s3: str, key: str, kind: str) -> None:
    client = Minio(s3, access_key=uuid4().hex, secret_key=uuid4().hex, secure=False, region="us-east-1")
    if not client.bucket_exists("data-docs"):
        client.make_bucket("data-docs")
    S3Store(client).put("data-docs", key, b"x")
    assert client.stat_object("data-docs", key).content_type == kind


@pytest.mark.parametrize("sizes", [[], [0], [5], [3, 0, 4], [2**23], [2**23, 1], [7_000_000] * 3])
def test_an_object_is_put_in_chunks(store: ObjectStore, sizes: list[int]) -> None:
    chunks = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    store.put_chunks("gold", "t/part.parquet", iter(chunks))
    assert store.get("gold", "t/part.parquet") == b"".join(chunks)


@pytest.mark.parametrize("size", [1, 2**24])
def test_chunks_that_end_in_an_error_leave_the_object_as_it_was(store: ObjectStore, size: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * size
        raise LookupError("no more")

    store.put("gold", "a", b"before")
    with pytest.raises(LookupError, match="no more"):
        store.put_chunks("gold", "a", chunks())
    assert store.get("gold", "a") == b"before"
    assert [info.key for info in store.list("gold")] == ["a"]


def test_an_empty_bucket_lists_nothing(store: ObjectStore) -> None:
    assert list(store.list("raw", "trades/")) == []


@pytest.mark.parametrize("key", ["../outside", "/absolute", "a//b", "a/./b", ""])
def test_a_key_cannot_leave_the_directory(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a valid object key"):
        DirectoryStore(tmp_path).put("raw", key, b"")


def test_a_failed_put_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = DirectoryStore(tmp_path)
    (tmp_path / "raw").mkdir()
    with pytest.raises(OSError, match="No space"):
        store.put("raw", "a", b"data")
    assert list((tmp_path / "raw").iterdir()) == []


def test_an_unreachable_store_is_retryable() -> None:
    settings = ObjectStoreSettings(
        OBJECT_STORE="s3", S3_ENDPOINT="127.0.0.1:1", S3_SECURE=False, S3_ACCESS_KEY="a", S3_SECRET_KEY=SecretStr("b")
    )
    with pytest.raises(HTTPError) as caught:
        open_store(settings).put("raw", "key", b"data")
    assert is_retryable(caught.value)
