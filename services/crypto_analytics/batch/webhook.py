"""Tell a webhook. Its address is a secret: no error names it."""

from collections.abc import Mapping

import httpx

_SECONDS = 10.0


class NotTold(Exception):
    """The webhook could not be told; the text says why, without the address."""


def tell(url: str, message: Mapping[str, str]) -> None:
    """Post ``message`` as JSON.

    Raises:
        NotTold: there is no such address, no answer, or one that is no success.
    """
    try:
        httpx.post(url, json=dict(message), timeout=_SECONDS).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise NotTold(f"HTTP {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotTold(type(error).__name__) from None
