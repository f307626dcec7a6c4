"""What can go wrong with the exchange, and the one place that decides what is worth another try.

::

    ExchangeError
    ├── Blocked        451: this host does not serve the caller's country; another host does
    ├── Rejected       other 4xx: the request itself is wrong, or this host does not serve it
    ├── RateLimited    429, 418: too many requests; wait ``retry_after`` seconds, then try again
    ├── Unavailable    network failure, 5xx, or an answer that makes no sense; may pass by itself
    └── Misconfigured  this machine's proxy or certificate variables cannot be used

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (HTTP Return Codes, IP Limits).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

import msgspec

# Without Retry-After: the request weight is counted by the minute, and the shortest ban lasts two.
_LIMITED_SECONDS = 60.0
_BANNED_SECONDS = 120.0
_BANNED = 418

# With Retry-After: 0 is a pause all the same, and a request within a ban makes the next ban longer. The longest ban
# lasts three days.
SHORTEST_PAUSE = 1.0
SHORTEST_BAN = 5.0
LONGEST_PAUSE = 3 * 86_400.0

_LARGEST_HEADER_NUMBER = 10**9
_LONGEST_TEXT = 300  # of what the other side wrote, in an error
_LOGIN = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/]*@")

_OTHER_HOSTS = "BINANCE_REST_URL=https://data-api.binance.vision and BINANCE_WS_URL=wss://data-stream.binance.vision"


class ExchangeError(Exception):
    """The exchange did not give what was asked for; the text says why and what to do next."""


class Blocked(ExchangeError):
    """HTTP 451: the host refuses the caller's country."""


class Rejected(ExchangeError):
    """HTTP 4xx: ``code`` is the exchange's own error code (0: none), ``status`` the HTTP one."""

    def __init__(self, text: str, status: int, code: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class RateLimited(ExchangeError):
    """HTTP 429, or 418 when the address is ``banned``: ask again after ``retry_after`` seconds, not earlier."""

    def __init__(self, text: str, retry_after: float, *, banned: bool) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.banned = banned


class Unavailable(ExchangeError):
    """The exchange cannot be reached, fails, or answers nonsense."""


class Misconfigured(ExchangeError):
    """A variable of the environment (a proxy, a certificate authority) cannot be used; the text names it."""


class _Payload(msgspec.Struct):
    code: int = 0
    msg: str = ""


def is_retryable(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, RateLimited | Unavailable)


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    setting: Literal["BINANCE_REST_URL", "BINANCE_WS_URL"] = "BINANCE_REST_URL",
) -> ExchangeError:
    """Return the error that an HTTP answer other than 200 stands for; ``setting`` is the one that named ``url``.

    ``url`` is the address that was asked; :func:`address_of` makes it fit to be shown.
    """
    payload = _payload(body)
    message = "".join(c if c.isprintable() else " " for c in payload.msg[:_LONGEST_TEXT])
    said = f" ({payload.code}: {message})" if message else ""
    story = f"HTTP {status} from {address_of(url)}{said}"
    match status:
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return Blocked(f"{story}: this host does not serve your location; set {_OTHER_HOSTS}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(headers, _LIMITED_SECONDS, SHORTEST_PAUSE)
            return RateLimited(f"{story}: request limit reached, waiting {wait:g} s", wait, banned=False)
        case _ if status == _BANNED:
            wait = _retry_after(headers, _BANNED_SECONDS, SHORTEST_BAN)
            text = f"{story}: this address is BANNED for {wait:g} s; lower BINANCE_WEIGHT_LIMIT, or stop what shares it"
            return RateLimited(text, wait, banned=True)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{story}: the exchange fails; try again later")
        case _:
            return Rejected(f"{story}: {_refusal(status, headers, setting)}", status, payload.code)


def _refusal(status: int, headers: Mapping[str, str], setting: str) -> str:
    """Return why a request is refused for good, and what to do."""
    if status == HTTPStatus.FORBIDDEN:
        return f"refused by the host's firewall, or not served by it; try {_OTHER_HOSTS}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = address_of(_header(headers, "Location")) or "an address that it does not name"
        return f"it redirects to {target}, which is not followed; check {setting} and the network"
    return f"the request is refused; check SYMBOLS and {setting}"


def address_of(url: str) -> str:
    """Return ``url`` as an error or a log names it: without a login, a query or a fragment, and of bounded length."""
    return _LOGIN.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])[:_LONGEST_TEXT]


def header_number(text: str) -> int | None:
    """Return the whole number that a header holds; None where it holds none, or one that no exchange would send."""
    text = text.strip(" \t")
    if not (text.isascii() and text.isdigit()):  # str.isdigit alone takes digits that int() refuses, such as "²"
        return None
    text = text.lstrip("0") or "0"
    number = int(text) if len(text) <= len(str(_LARGEST_HEADER_NUMBER)) else _LARGEST_HEADER_NUMBER
    return min(number, _LARGEST_HEADER_NUMBER)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")


def _payload(body: bytes) -> _Payload:
    """Return the exchange's code and message; a body that is none of its JSON has neither."""
    try:
        return msgspec.json.decode(body, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Payload()


def _retry_after(headers: Mapping[str, str], default: float, shortest: float) -> float:
    """Return the header's seconds, within what can be meant.

    The exchange sends a whole number. Anything else counts as absent, a date too: how long it is until then depends on
    a clock that may be wrong.
    """
    seconds = header_number(_header(headers, "Retry-After"))
    return default if seconds is None else min(max(float(seconds), shortest), LONGEST_PAUSE)
