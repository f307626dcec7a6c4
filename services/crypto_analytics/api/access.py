"""Who may read: a bearer token, compared in constant time. Without a configured token everyone who connects may.

Web pages of other origins are refused unless API_CORS_ORIGINS names them, with a token or without one.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crypto_analytics.api.health import OPEN_PATHS

_REFUSED = b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
_OTHER_ORIGIN = b'{"code":-2015,"msg":"Web pages of this origin are refused; next: name it in API_CORS_ORIGINS."}'
# A browser asks for user and password after Basic, and sends them with the page's own requests as well.
_HEADERS = {"WWW-Authenticate": 'Basic realm="the password is the API token", charset="UTF-8"'}


class TokenRequired:
    """Middleware that answers 401 to requests and WebSockets without the token, except for probes and metrics."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what has the token."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._is_allowed(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await Response(_REFUSED, 401, _HEADERS, "application/json")(scope, receive, send)

    def _is_allowed(self, headers: Headers) -> bool:
        return compare_digest(sent_token(headers.get("authorization", "")), self._token)


class OriginAllowed:
    """Middleware that answers 403 to WebSockets of web pages that are neither of this server nor of ``origins``.

    Browsers apply CORS to requests and not to WebSockets, and send a stored password with both. Programs send no
    ``Origin``, or that of this server.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed."""
        if scope["type"] != "websocket" or self._is_allowed(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await Response(_OTHER_ORIGIN, 403, media_type="application/json")(scope, receive, send)

    def _is_allowed(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or origin in self._origins or "*" in self._origins:
            return True
        try:
            return urlsplit(origin).netloc == headers.get("host", "")
        except ValueError:
            return False


def sent_token(authorization: str) -> bytes:
    """Return the token of the header ``Authorization``: of Bearer, or the password of Basic; b"" if there is none."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip().encode("latin-1")  # as the server decoded it
        case "basic":
            try:
                return b64decode(value.strip(), validate=True).partition(b":")[2]
            except (Base64Error, ValueError):
                return b""
        case _:
            return b""
