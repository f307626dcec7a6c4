"""What can go wrong with the exchange, and the one place that decides what is worth another try.

::

    ExchangeError
    ├── Blocked        451: this host does not serve the caller's country; another host does
    ├── Rejected       other 4xx: the request itself is wrong, or this host does not serve it
    ├── RateLimited    429, 418: too many requests; wait ``retry_after`` seconds, then try again
    └── Unavailable    network failure, 5xx, or an answer that makes no sense; may pass by itself

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (HTTP Return Codes, IP Limits).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

import msgspec

# Without Retry-After: the request weight is counted by the minute, and the shortest ban lasts two.
_LIMITED_SECONDS = 60.0
_BANNED_SECONDS = 120.0
_BANNED = 418

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
    """Return the error that an HTTP answer other than 200 stands for; ``setting`` is the one that named ``url``."""
    said = _said(body)
    story = f"HTTP {status} from {url}" + (f" ({said.code}: {said.msg})" if said.msg else "")
    match status:
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return Blocked(f"{story}: this host does not serve your location; set {_OTHER_HOSTS}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(headers, _LIMITED_SECONDS)
            return RateLimited(f"{story}: request limit reached, waiting {wait:g} s", wait, banned=False)
        case _ if status == _BANNED:
            wait = _retry_after(headers, _BANNED_SECONDS)
            text = f"{story}: this address is BANNED for {wait:g} s; lower BINANCE_WEIGHT_LIMIT, or stop what shares it"
            return RateLimited(text, wait, banned=True)
        case HTTPStatus.FORBIDDEN:
            text = f"{story}: refused by the host's firewall, or not served by it; try {_OTHER_HOSTS}"
            return Rejected(text, status, said.code)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"{story}: the exchange fails; try again later")
        case _:
            return Rejected(f"{story}: the request is refused; check SYMBOLS and {setting}", status, said.code)


def _said(body: bytes) -> _Payload:
    """Return the exchange's own words; a body that is none of its JSON says nothing."""
    try:
        return msgspec.json.decode(body, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Payload()


def _retry_after(headers: Mapping[str, str], default: float) -> float:
    """Return the header's seconds; the exchange sends a whole number, anything else counts as absent."""
    text = headers.get("Retry-After") or headers.get("retry-after") or ""
    return float(text) if text.isascii() and text.isdigit() else default
