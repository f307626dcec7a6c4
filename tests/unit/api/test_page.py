"""The live page's files: where they are served, by which headers, and what is said without them."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from crypto_analytics.api import page
from tests.servers import ROOT

SOURCES = ROOT / "services" / "live_page" / "src"


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=page.routes(str(SOURCES))))


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/NOTICE.txt", "text/plain; charset=utf-8"),
    ],
)
def test_each_file_is_served_with_its_type_and_the_policy(client: TestClient, path: str, media_type: str) -> None:
    answer = client.get(path)
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*|data:", policy)


def test_a_file_that_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/main.js", headers={"If-None-Match": f'"another", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (HTTPStatus.NOT_MODIFIED, b"")
    changed = client.get("/main.js", headers={"If-None-Match": '"another"'})
    assert changed.content == first.content


@pytest.mark.parametrize("path", ["/../settings.py", "/%2e%2e/package.json", "/src/main.js", "/index.html"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == HTTPStatus.NOT_FOUND


def test_without_the_built_page_the_next_command_is_said(tmp_path: Path) -> None:
    for folder in ("", str(tmp_path)):
        answer = TestClient(Starlette(routes=page.routes(folder))).get("/")
        assert answer.status_code == HTTPStatus.NOT_FOUND
        assert "make live-page" in answer.text
        assert "content-security-policy" in answer.headers


def test_the_page_has_nothing_inline_and_nothing_of_another_host() -> None:
    html = (SOURCES / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", html) == []
    assert re.findall(r"(?:src|<link[^>]*href)=\"(?:https?:)?//[^\"]*", html) == []
    assert 'href="https://www.tradingview.com/"' in html, "the licence's attribution"
