"""JSON responses."""

from typing import Any

import msgspec
from starlette.responses import Response

_MEDIA_TYPE = "application/json"


def json_text(text: str) -> Response:
    """Return a response of JSON that PostgreSQL made."""
    return Response(text, media_type=_MEDIA_TYPE)


def json(body: Any) -> Response:
    """Return a response of ``body`` as JSON."""
    return Response(msgspec.json.encode(body), media_type=_MEDIA_TYPE)
