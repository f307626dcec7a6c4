"""Turn the exchange's HTTP errors into exceptions with pause, message and next step."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.errors import (
    Blocked,
    ExchangeError,
    RateLimited,
    Rejected,
    Unavailable,
    error_of,
    header_number,
    is_retryable,
    redacted,
)

URL = "https://api.example/api/v3/klines"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, Rejected, False),
        (403, Rejected, False),
        (404, Rejected, False),
        (418, RateLimited, True),
        (429, RateLimited, True),
        (451, Blocked, False),
        (500, Unavailable, True),
        (502, Unavailable, True),
        (504, Unavailable, True),
        (301, Rejected, False),
    ],
)
def test_the_error_of_each_status(status: int, kind: type[ExchangeError], retryable: bool) -> None:
    error = error_of(status, {}, b"", URL)
    assert type(error) is kind
    assert is_retryable(error) is retryable
    assert URL in str(error)
    assert str(status) in str(error)


def test_a_blocked_location_names_the_settings_to_change() -> None:
    text = str(error_of(451, {}, b"", URL))
    assert "BINANCE_REST_URL=https://data-api.binance.vision" in text
    assert "BINANCE_WS_URL=wss://data-stream.binance.vision" in text


@pytest.mark.parametrize(("status", "default", "banned"), [(429, 60, False), (418, 120, True)])
def test_retry_after_is_obeyed_and_has_a_default(status: int, default: int, banned: bool) -> None:
    error = error_of(status, {"Retry-After": "7"}, b"", URL)
    without_seconds = error_of(status, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", URL)
    assert isinstance(error, RateLimited)
    assert isinstance(without_seconds, RateLimited)
    assert (error.retry_after, error.banned) == (7, banned)
    assert without_seconds.retry_after == default
    assert ("BANNED" in str(error)) is banned


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize(
    ("status", "text", "wait"),
    [
        (429, "0", 1),
        (418, "0", 5),
        (429, "000", 1),
        (418, "1", 5),
        (429, "1", 1),
        (429, " 11 ", 11),
        (429, "9" * 5000, 259_200),
        (418, "9" * 400, 259_200),
        (418, "259200", 259_200),
        (429, "259201", 259_200),
        (429, "-5", 60),
        (429, "1.5", 60),
        (429, "1e3", 60),
        (429, "²", 60),
        (429, "٣", 60),
        (418, "²", 120),
        (429, "", 60),
        (429, "soon", 60),
        (429, "5, 7", 60),
        (429, "Thu, 01 Jan 2099 00:00:00 GMT", 60),
        (418, "Thu, 01 Jan 1970 00:00:00 GMT", 120),
    ],
)
def test_a_pause_is_never_zero_and_never_endless(status: int, text: str, wait: float, name: str) -> None:
    error = error_of(status, {name: text}, b"", URL)
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


def test_an_error_contains_only_printable_characters() -> None:
    text = str(error_of(400, {}, b'{"code": 1, "msg": "a\\u0000b\\u001b[2Jc"}', URL))
    assert "(1: a b [2Jc)" in text


@given(st.text(max_size=30) | st.text("0123456789 \t", max_size=30))
def test_a_header_that_is_not_an_integer_is_ignored(text: str) -> None:
    number = header_number(text)
    digits = text.strip(" \t")
    if re.fullmatch("[0-9]+", digits):
        assert number == min(int(digits), 10**9)
    else:
        assert number is None


@given(st.integers(0, 10**9))
def test_an_integer_header_is_parsed(number: int) -> None:
    assert header_number(f"0{number}") == number


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, URL),
        (f"{URL}?symbol=BTCUSDT&limit=5", URL),
        (f"{URL}?next=https://other.example/", URL),
        (f"{URL}#part", URL),
        ("https://user:secret@api.example/api/v3/klines?x", URL),
        ("https://user:se@cret@api.example/api/v3/klines", URL),
        ("wss://api.example:9443/prefix/stream?streams=" + "a@trade/" * 400, "wss://api.example:9443/prefix/stream"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("/log/in?from=here", "/log/in"),
        ("//user:secret@other.example/x", "//other.example/x"),
        ("https://api.example/" + "x" * 1000, ("https://api.example/" + "x" * 1000)[:300]),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_credentials_and_query(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_redirect_is_not_followed_and_its_target_is_named() -> None:
    error = error_of(302, {"Location": "http://u:secret@portal.example/login?from=x"}, b"", URL, "BINANCE_WS_URL")
    assert isinstance(error, Rejected)
    assert f"HTTP 302 from {URL}: it redirects to http://portal.example/login, which is not followed" in str(error)
    assert "BINANCE_WS_URL" in str(error)
    assert "secret" not in str(error)


def test_a_long_message_of_the_exchange_is_cut() -> None:
    body = b'{"code":-1000,"msg":"' + b"x" * 100_000 + b'"}'
    assert len(str(error_of(400, {}, body, URL))) < 600


def test_the_message_of_the_exchange_is_part_of_the_error() -> None:
    error = error_of(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}', URL)
    assert isinstance(error, Rejected)
    assert error.code == -1121
    assert "Invalid symbol." in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b"[1]", b'{"code":"x"}', b"[" * 5000])
def test_a_body_that_is_not_the_exchanges_json_is_ignored(body: bytes) -> None:
    assert isinstance(error_of(500, {}, body, URL), Unavailable)


def test_only_errors_of_the_exchange_are_retried() -> None:
    assert not is_retryable(ValueError())
