"""HTTP requests to this machine's loopback address, which no proxy ever sees."""

import urllib.request
from http.client import HTTPResponse

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, timeout: float) -> HTTPResponse:
    """Return the answer of ``url``.

    Raises:
        OSError: it does not answer, or with an error (urllib.error.HTTPError).
    """
    answer: HTTPResponse = _OPENER.open(url, timeout=timeout)
    return answer
