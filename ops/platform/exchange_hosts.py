"""Which hosts of the exchange serve this machine: the requested ones, or those that only have market data.

Binance refuses some countries with HTTP 451 (and 403 of its content delivery network) on its main hosts. Its
market-data hosts serve the same public REST interface and streams, with the same trade ids, everywhere:
https://developers.binance.com/docs/binance-spot-api-docs (Market Data Only).
"""

import os
import re
import ssl
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import Field

from crypto_analytics.binance.errors import Misconfigured
from crypto_analytics.binance.proxies import proxy_for
from crypto_analytics.runtime.settings import HttpUrl, SettingsGroup, WebSocketUrl, load
from ops.common.errors import Problem

_REFUSED = (403, 451)  # Forbidden; Unavailable For Legal Reasons
_SECONDS = 10
_SIMULATOR = "use the simulator: make demo, or FEED=simulator"
# Names of one exchange. Futures (fstream), the testnet and binance.us have trade ids of their own.
_BINANCE = re.compile(r"(data-)?stream\d*\.binance\.(com|vision)")


class MarketDataHosts(SettingsGroup):
    """Hosts of the exchange that are used where its main hosts refuse this machine's location."""

    BINANCE_DATA_WS_URL: WebSocketUrl = Field(
        WebSocketUrl("wss://data-stream.binance.vision"), description="WebSocket host for every location"
    )
    BINANCE_DATA_REST_URL: HttpUrl = Field(
        HttpUrl("https://data-api.binance.vision"), description="REST host for every location"
    )


class Hosts(NamedTuple):
    """The exchange's hosts, as the services' settings BINANCE_WS_URL and BINANCE_REST_URL."""

    stream: str
    rest: str

    @property
    def variables(self) -> dict[str, str]:
        """The hosts as environment variables."""
        return {"BINANCE_WS_URL": self.stream, "BINANCE_REST_URL": self.rest}


class Refused(Problem):
    """The exchange answers, but does not serve this machine's location."""


class Unreachable(Problem):
    """The exchange does not answer this machine."""


def exchange(stream: str) -> str:
    """Return the identity of an exchange: one for all hosts of Binance's spot market, otherwise the URL."""
    return "binance" if _BINANCE.fullmatch(urlsplit(stream).hostname or "") else stream


def choose(wanted: Hosts) -> Hosts:
    """Return ``wanted``, or the market-data hosts if Binance refuses this machine's location on its main hosts.

    Raises:
        Refused: all of them refuse, or another exchange than Binance does.
        Unreachable: ``wanted`` does not answer.
    """
    try:
        ping(wanted.rest)
    except Refused:
        if exchange(wanted.stream) != "binance":
            raise
        other = load(MarketDataHosts, "exchange hosts")
        data = Hosts(str(other.BINANCE_DATA_WS_URL).rstrip("/"), str(other.BINANCE_DATA_REST_URL).rstrip("/"))
        try:
            ping(data.rest)
        except Unreachable as error:
            raise Refused("the exchange refuses this location", str(error), _SIMULATOR) from None
        return data
    return wanted


def ping(rest_url: str) -> None:
    """Request the exchange's ping once, through the proxy that the services would choose.

    Raises:
        Refused: it does not serve this machine's location.
        Unreachable: it does not answer, or answers with another error.
    """
    url = f"{rest_url.rstrip('/')}/api/v3/ping"
    try:
        proxy = proxy_for(url, os.environ)
    except Misconfigured as error:
        raise Unreachable("the exchange cannot be reached", str(error), "correct that variable") from None
    handler = urllib.request.ProxyHandler({} if proxy is None else {urlsplit(url).scheme: proxy.url})
    fix = f"check this machine's network and proxy (curl {url}), or {_SIMULATOR}"
    try:
        urllib.request.build_opener(handler).open(url, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        cause = f"{url} answered {error.code} {error.reason}"
        if error.code in _REFUSED:
            raise Refused("the exchange refuses this location", cause, _SIMULATOR) from None
        raise Unreachable("the exchange fails", cause, fix) from None
    except (urllib.error.URLError, ssl.SSLError, TimeoutError, ConnectionError) as error:
        cause = f"{url}: {getattr(error, 'reason', error)}"
        raise Unreachable("the exchange cannot be reached", cause, fix) from None
