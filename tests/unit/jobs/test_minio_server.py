"""Tell MinIO's errors apart: those of a server that is not ready, of a refused login, and of a refused request."""

from typing import Any

import pytest
from minio.error import S3Error

from crypto_analytics.jobs.buckets.minio_server import MinioServer
from crypto_analytics.jobs.reconciliation import LoginRefused, NotReady
from crypto_analytics.runtime.settings import ObjectStoreSettings


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("XMinioServerNotInitialized", NotReady),
        ("SlowDownWrite", NotReady),
        ("InternalError", NotReady),
        ("SignatureDoesNotMatch", LoginRefused),
        ("XMinioStorageFull", S3Error),
        ("AccessDenied", S3Error),
    ],
)
def test_each_error_of_minio_is_translated(code: str, expected: type[Exception], monkeypatch: Any) -> None:
    def fail() -> None:
        raise S3Error(None, code, "the message", "/", "1", "host")  # type: ignore[arg-type]

    monkeypatch.setenv("S3_ACCESS_KEY", "root")
    monkeypatch.setenv("S3_SECRET_KEY", "unused")
    server = MinioServer(ObjectStoreSettings())
    monkeypatch.setattr(server._s3, "list_buckets", fail)
    with pytest.raises(Exception, match="the message") as raised:
        server.state({})
    assert raised.type is expected
