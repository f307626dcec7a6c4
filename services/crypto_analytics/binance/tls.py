"""TLS towards the exchange: which certificate authorities are trusted. What is not encrypted needs none of it."""

import ssl
from collections.abc import Callable

import httpx

from crypto_analytics.binance.errors import Misconfigured


def rest_context(url: str) -> ssl.SSLContext:
    """Return the TLS context of the REST client for ``url``: certifi's authorities, or those of SSL_CERT_FILE or _DIR.

    Raises:
        Misconfigured: a variable names a file that cannot be used.
    """
    if url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reads no variable, and trusts nobody
    return _loaded(httpx.create_ssl_context)


def stream_context(url: str) -> ssl.SSLContext | None:
    """Return the TLS context of the WebSocket client for ``url``: OpenSSL's authorities; None without TLS.

    Raises:
        Misconfigured: a variable names a file that cannot be used.
    """
    return None if url.startswith("ws://") else _loaded(ssl.create_default_context)


def _loaded(create: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    try:
        return create()
    except OSError as error:  # ssl.SSLError is one
        raise Misconfigured(
            f"TLS cannot be set up ({error}): unset SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE, or correct them"
        ) from error
