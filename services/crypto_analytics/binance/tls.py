"""TLS contexts for connections to the exchange, which define the trusted certificate authorities."""

import ssl
from collections.abc import Callable

import httpx

from crypto_analytics.binance.errors import Misconfigured


def rest_context(url: str) -> ssl.SSLContext:
    """Return the TLS context of the REST client for ``url``: certifi's authorities, or those of SSL_CERT_FILE or _DIR.

    Raises:
        Misconfigured: SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE is invalid.
    """
    if url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx wants a context; this one reads no variable
    return _create(httpx.create_ssl_context)


def stream_context(url: str) -> ssl.SSLContext | None:
    """Return the TLS context of the WebSocket client for ``url``: OpenSSL's authorities; None for an unencrypted URL.

    Raises:
        Misconfigured: SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE is invalid.
    """
    return None if url.startswith("ws://") else _create(ssl.create_default_context)


def _create(create: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    try:
        return create()
    except OSError as error:  # includes ssl.SSLError
        raise Misconfigured(
            f"TLS cannot be set up ({error}): unset SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE, or correct them"
        ) from error
