import pytest

from crypto_analytics.binance.errors import (
    Blocked,
    ExchangeError,
    RateLimited,
    Rejected,
    Unavailable,
    error_of,
    is_retryable,
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
def test_each_status_has_its_verdict(status: int, kind: type[ExchangeError], retryable: bool) -> None:
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
    told = error_of(status, {"Retry-After": "7"}, b"", URL)
    untold = error_of(status, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", URL)
    assert isinstance(told, RateLimited)
    assert isinstance(untold, RateLimited)
    assert (told.retry_after, told.banned) == (7, banned)
    assert untold.retry_after == default
    assert ("BANNED" in str(told)) is banned


def test_the_exchange_s_own_words_are_passed_on() -> None:
    error = error_of(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}', URL)
    assert isinstance(error, Rejected)
    assert error.code == -1121
    assert "Invalid symbol." in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b"[1]", b'{"code":"x"}', b"[" * 5000])
def test_a_body_that_is_none_of_the_exchange_s_is_no_trouble(body: bytes) -> None:
    assert isinstance(error_of(500, {}, body, URL), Unavailable)


def test_only_errors_of_the_exchange_are_retried() -> None:
    assert not is_retryable(ValueError())
