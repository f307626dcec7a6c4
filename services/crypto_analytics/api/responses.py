"""JSON responses."""

from datetime import datetime
from typing import Any, overload

import msgspec
from starlette.responses import Response

from crypto_analytics.core.minutes import from_datetime

_MEDIA_TYPE = "application/json"


def json_text(text: str) -> Response:
    """Return a response of JSON that PostgreSQL made."""
    return Response(text, media_type=_MEDIA_TYPE)


def json(body: Any) -> Response:
    """Return a response of ``body`` as JSON."""
    return Response(msgspec.json.encode(body), media_type=_MEDIA_TYPE)


@overload
def milliseconds(moment: datetime) -> int: ...


@overload
def milliseconds(moment: None) -> None: ...


def milliseconds(moment: datetime | None) -> int | None:
    """Return a time of PostgreSQL in milliseconds since the epoch."""
    return None if moment is None else from_datetime(moment) // 1000
