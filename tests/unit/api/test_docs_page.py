"""The page of the endpoints is plain HTML that loads nothing, and lists what the OpenAPI document has."""

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import structlog

from crypto_analytics.api.application import create_app
from crypto_analytics.api.settings import ApiSettings


def test_the_page_lists_every_endpoint_and_loads_nothing(tmp_path: Path) -> None:
    env = {
        "POSTGRES_USER": "reader",
        "POSTGRES_PASSWORD": "x",
        "OBJECT_STORE": "directory",
        "OBJECT_STORE_DIR": tmp_path,
    }
    app = create_app(ApiSettings(**env), structlog.get_logger("test"))  # type: ignore[arg-type]

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            return await client.get("/docs")

    answer = asyncio.run(request())
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<(script|link|img|iframe)|\son\w+=|url\(|https?:", answer.text)
    listed = set(map(unescape, re.findall(r"<h3>GET <a [^>]*>([^<]+)</a>", answer.text)))
    assert listed == set(app.openapi()["paths"])
    assert {"/api/v3/klines", "/v1/candles", "/readyz"} <= listed
