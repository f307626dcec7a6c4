"""Post messages to a webhook. Its URL is a secret and appears in no error."""

from collections.abc import Mapping

import httpx

_TIMEOUT_SECONDS = 10.0


class DeliveryFailed(Exception):
    """The webhook did not accept the message; the text has the cause, without the URL."""


def post(url: str, message: Mapping[str, str]) -> None:
    """Post ``message`` as JSON.

    Raises:
        DeliveryFailed: the URL is invalid, the host does not answer, or the status is not 2xx.
    """
    try:
        httpx.post(url, json=dict(message), timeout=_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise DeliveryFailed(f"HTTP {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryFailed(type(error).__name__) from None
