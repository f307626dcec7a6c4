"""The live page at ``/``: static files, served from memory with a strict Content-Security-Policy.

Nothing on the page is inline, and it requests nothing from another host, so the policy allows files and connections of
this server only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

INDEX = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
MISSING = """\
The live page is not built: PAGE_DIR names no folder that has index.html.
Next: make live-page builds it, and make demo FOREVER=1 serves it. The API itself works; its pages: /docs
"""


class _File(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def routes(folder: str) -> list[Route]:
    """Return the route of each file of the built page in ``folder``, index.html at ``/``.

    Where ``folder`` is empty or has no index.html, ``/`` says how to build the page. The files are read once, now.
    """
    files = _read(Path(folder)) if folder else {}
    if INDEX not in files:
        return [Route("/", _missing)]
    return [
        Route("/" if name == INDEX else f"/{name}", _endpoint(file), methods=["GET"]) for name, file in files.items()
    ]


def _read(folder: Path) -> Mapping[str, _File]:
    """Return the files of the types that a page has, by their path in ``folder``."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in _MEDIA_TYPES]
    return {path.relative_to(folder).as_posix(): _file(path) for path in paths}


def _file(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _endpoint(file: _File) -> Callable[[Request], Awaitable[Response]]:
    # no-cache: a browser keeps the file and asks each time whether its hash is still the same.
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": file.etag}

    async def serve(request: Request) -> Response:
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
        if file.etag in known:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return serve


async def _missing(_: Request) -> Response:
    return PlainTextResponse(MISSING, HTTPStatus.NOT_FOUND, headers=HEADERS)
