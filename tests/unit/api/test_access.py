"""The token: as Bearer, or as the password that a browser sends; and the origins of web pages."""

import asyncio
from base64 import b64encode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from crypto_analytics.api.access import OriginAllowed, TokenRequired, sent_token


def get(path: str, authorization: bytes = b"") -> httpx.Response:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("answer")

    app = Starlette(routes=[Route(path, answer) for path in ("/api/v3/ping", "/healthz", "/metrics")])
    transport = httpx.ASGITransport(TokenRequired(app, "the token é"))

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers={b"Authorization": authorization} if authorization else {})

    return asyncio.run(request())


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("header", [b"Bearer the token \xc3\xa9", basic("anyone", "the token é").encode()])
def test_the_token_opens(header: bytes) -> None:
    assert get("/api/v3/ping", header).text == "answer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer other", "Basic !", basic("the token é", ""), "Digest x"])
def test_everything_else_is_refused_in_the_exchanges_form(header: str) -> None:
    answer = get("/api/v3/ping", header.encode())
    assert (answer.status_code, answer.json()["code"]) == (401, -2015)
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_probes_and_metrics_need_no_token() -> None:
    assert [get(path).status_code for path in ("/healthz", "/metrics")] == [200, 200]


def test_a_password_may_have_colons() -> None:
    assert sent_token(basic("user", "a:b")) == b"a:b"


def connect(origins: tuple[str, ...], headers: dict[str, str]) -> int:
    """Return the status of a WebSocket's handshake."""

    async def accept(websocket: WebSocket) -> None:
        await websocket.accept()

    app = OriginAllowed(Starlette(routes=[WebSocketRoute("/ws", accept)]), origins)
    try:
        with TestClient(app).websocket_connect("ws://api:8000/ws", headers=headers):
            return 101
    except WebSocketDenialResponse as refused:
        return refused.status_code


@pytest.mark.parametrize(
    ("origins", "headers", "status"),
    [
        ((), {}, 101),
        ((), {"origin": "http://api:8000"}, 101),
        ((), {"origin": "https://api:8000"}, 101),  # behind a proxy with TLS
        ((), {"origin": "http://api"}, 403),
        ((), {"origin": "http://api:8000.example.com"}, 403),
        ((), {"origin": "https://example.com"}, 403),
        ((), {"origin": "null"}, 403),
        ((), {"origin": ""}, 403),
        ((), {"origin": "http://[api:8000"}, 403),
        (("https://example.com",), {"origin": "https://example.com"}, 101),
        (("https://example.com",), {"origin": "http://example.com"}, 403),
        (("*",), {"origin": "https://example.com"}, 101),
    ],
)
def test_websockets_of_other_web_pages_are_refused(
    origins: tuple[str, ...], headers: dict[str, str], status: int
) -> None:
    assert connect(origins, headers) == status
