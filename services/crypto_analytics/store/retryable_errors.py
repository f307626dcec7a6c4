"""Decide which errors of PostgreSQL and of the object store are retryable. Pure."""

from minio.error import S3Error, ServerError
from urllib3.exceptions import HTTPError

from crypto_analytics.store import postgres

# A full volume: MinIO's code, and versitygw's.
FULL_S3_CODES = frozenset({"XMinioStorageFull", "InsufficientStorage"})
# S3's own codes are listed at https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; the XMinio ones and
# ServerNotInitialized are MinIO's, which sends the last one from its administration interface while it starts.
TRANSIENT_S3_CODES = FULL_S3_CODES | frozenset(
    {
        "InternalError",
        "RequestTimeout",
        "ServerNotInitialized",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "TooManyRequests",
        "XMinioServerNotInitialized",
    }
)


def is_retryable(error: BaseException) -> bool:
    """Return whether the same batch may succeed later: the store is unreachable, restarting or full.

    Wrong credentials, missing permissions and missing buckets or tables are not retryable.
    """
    match error:
        case S3Error():
            return error.code in TRANSIENT_S3_CODES
        case ServerError() | HTTPError():
            return True
        case PermissionError() | NotADirectoryError() | IsADirectoryError():
            return False
        case OSError():
            return True
        case _:
            return postgres.is_retryable(error)
