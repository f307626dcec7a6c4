"""Which errors of the stores are worth another try: one pure verdict for all of them."""

from minio.error import S3Error, ServerError
from urllib3.exceptions import HTTPError

from crypto_analytics.store import postgres

_PASSING_S3_CODES = frozenset(
    {
        "InternalError",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "TooManyRequests",
        "XMinioServerNotInitialized",
        "XMinioStorageFull",
    }
)


def is_retryable(error: BaseException) -> bool:
    """Whether the same batch may succeed later: a store that is away, restarting or full, but no wrong set-up."""
    match error:
        case S3Error():
            return error.code in _PASSING_S3_CODES
        case ServerError() | HTTPError():
            return True
        case PermissionError() | NotADirectoryError() | IsADirectoryError():
            return False
        case OSError():
            return True
        case _:
            return postgres.is_retryable(error)
