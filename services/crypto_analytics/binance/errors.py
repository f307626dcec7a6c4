"""Errors of the exchange, and which of them are retryable.

::

    ExchangeError
    ├── Blocked        451: this host does not serve the caller's country; another host does
    ├── Rejected       other 4xx: the request is invalid, or this host does not serve it
    ├── RateLimited    429, 418: too many requests; retry after ``retry_after`` seconds
    ├── Unavailable    network failure, 5xx, or an invalid response; retryable
    └── Misconfigured  the proxy or certificate variables of the environment are invalid

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (HTTP Return Codes, IP Limits).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

import msgspec

# Without Retry-After: the exchange counts request weight per minute, and its shortest ban lasts two minutes.
_LIMITED_SECONDS = 60.0
_BANNED_SECONDS = 120.0
_BANNED = 418

# Limits of Retry-After: 0 still means a pause, a request during a ban makes the next ban longer, and the longest ban
# lasts three days.
SHORTEST_PAUSE = 1.0
SHORTEST_BAN = 5.0
LONGEST_PAUSE = 3 * 86_400.0

_LARGEST_HEADER_NUMBER = 10**9
_MAX_SHOWN = 300  # characters of a URL or of the exchange's message in an error text
_LOGIN = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/]*@")

_OTHER_HOSTS = "BINANCE_REST_URL=https://data-api.binance.vision and BINANCE_WS_URL=wss://data-stream.binance.vision"


class ExchangeError(Exception):
    """A request to the exchange failed; the message has the cause and the next step."""


class Blocked(ExchangeError):
    """HTTP 451: the host does not serve the caller's country."""


class Rejected(ExchangeError):
    """HTTP 4xx or 3xx: ``status`` is the HTTP status, ``code`` the exchange's error code (0: none)."""

    def __init__(self, text: str, status: int, code: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class RateLimited(ExchangeError):
    """HTTP 429, or 418 if the address is ``banned``: do not retry before ``retry_after`` seconds have passed."""

    def __init__(self, text: str, retry_after: float, *, banned: bool) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.banned = banned


class Unavailable(ExchangeError):
    """The exchange is unreachable, fails, or sends an invalid response."""


class Misconfigured(ExchangeError):
    """An environment variable (a proxy, a certificate authority) is invalid; the text names it."""


class _Payload(msgspec.Struct):
    code: int = 0
    msg: str = ""


def is_retryable(error: BaseException) -> bool:
    """Return whether the same request may succeed later. Pure."""
    return isinstance(error, RateLimited | Unavailable)


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    setting: Literal["BINANCE_REST_URL", "BINANCE_WS_URL"] = "BINANCE_REST_URL",
) -> ExchangeError:
    """Return the error for an HTTP response with another status than 200.

    ``url`` is the request's URL, shown without credentials and query; ``setting`` is the setting that it comes from.
    """
    payload = _payload(body)
    message = "".join(c if c.isprintable() else " " for c in payload.msg[:_MAX_SHOWN])
    reported = f" ({payload.code}: {message})" if message else ""
    response = f"HTTP {status} from {redacted(url)}{reported}"
    match status:
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return Blocked(f"{response}: this host does not serve your location; set {_OTHER_HOSTS}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(headers, _LIMITED_SECONDS, SHORTEST_PAUSE)
            return RateLimited(f"{response}: request limit reached, waiting {wait:g} s", wait, banned=False)
        case _ if status == _BANNED:
            wait = _retry_after(headers, _BANNED_SECONDS, SHORTEST_BAN)
            fix = "lower BINANCE_WEIGHT_LIMIT, or stop other clients that share the address"
            return RateLimited(f"{response}: this address is BANNED for {wait:g} s; {fix}", wait, banned=True)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{response}: server error of the exchange; try again later")
        case _:
            return Rejected(f"{response}: {_rejection(status, headers, setting)}", status, payload.code)


def _rejection(status: int, headers: Mapping[str, str], setting: str) -> str:
    """Return why a retry of the request is useless, and the next step."""
    if status == HTTPStatus.FORBIDDEN:
        return f"refused by the host's firewall, or not served by it; try {_OTHER_HOSTS}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = redacted(_header(headers, "Location")) or "an address that it does not name"
        return f"it redirects to {target}, which is not followed; check {setting} and the network"
    return f"the request is refused; check SYMBOLS and {setting}"


def redacted(url: str) -> str:
    """Return ``url`` for errors and logs: without credentials, query and fragment, at most 300 characters long."""
    return _LOGIN.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])[:_MAX_SHOWN]


def header_number(text: str) -> int | None:
    """Return the non-negative integer in a header, capped at 10^9; None if ``text`` is not one."""
    text = text.strip(" \t")
    if not (text.isascii() and text.isdigit()):  # str.isdigit alone accepts digits that int() does not, such as "²"
        return None
    text = text.lstrip("0") or "0"
    number = int(text) if len(text) <= len(str(_LARGEST_HEADER_NUMBER)) else _LARGEST_HEADER_NUMBER
    return min(number, _LARGEST_HEADER_NUMBER)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")


def _payload(body: bytes) -> _Payload:
    """Return the exchange's code and message; 0 and "" if ``body`` is not the exchange's JSON."""
    try:
        return msgspec.json.decode(body, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Payload()


def _retry_after(headers: Mapping[str, str], default: float, shortest: float) -> float:
    """Return the seconds of the Retry-After header, limited to the range from ``shortest`` to ``LONGEST_PAUSE``.

    The exchange sends a whole number. Everything else is ignored, also a date: the time until then depends on a clock
    that may be wrong.
    """
    seconds = header_number(_header(headers, "Retry-After"))
    return default if seconds is None else min(max(float(seconds), shortest), LONGEST_PAUSE)
