"""Decide which errors of PostgreSQL and of the object store are retryable."""

import psycopg
import pytest
from minio.error import S3Error
from urllib3.exceptions import MaxRetryError

from crypto_analytics.store.postgres import LoginRefused
from crypto_analytics.store.retryable_errors import is_retryable


def s3(code: str) -> S3Error:
    return S3Error(None, code, "message", "resource", "request", "host")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (psycopg.OperationalError("server closed the connection"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.QueryCanceled(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (LoginRefused(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.errors.CheckViolation(), False),
        (psycopg.errors.InsufficientPrivilege(), False),
        (s3("SlowDown"), True),
        (s3("InternalError"), True),
        (s3("XMinioStorageFull"), True),
        (s3("InsufficientStorage"), True),
        (s3("ServerNotInitialized"), True),
        (s3("AccessDenied"), False),
        (s3("NoSuchBucket"), False),
        (MaxRetryError(None, "/"), True),  # type: ignore[arg-type]
        (OSError(28, "No space left on device"), True),
        (PermissionError(), False),
        (ValueError(), False),
        (AssertionError(), False),
    ],
)
def test_which_errors_are_retryable(error: BaseException, retryable: bool) -> None:
    assert is_retryable(error) is retryable
