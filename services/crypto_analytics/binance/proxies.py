"""Choose the proxy of a connection from the environment variables that curl and Python use. Pure.

``https_proxy``, ``http_proxy``, ``wss_proxy``, ``ws_proxy`` and ``all_proxy`` name proxies, ``no_proxy`` the hosts that
are reached without one; lower-case names take precedence over upper-case ones. Loopback and private addresses and
cluster-internal names are never reached through a proxy, whatever the variables are: a proxy cannot resolve them.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from crypto_analytics.binance.errors import Misconfigured

# Variables by URL scheme, in order of precedence. A WebSocket needs a tunnel through the proxy, as https does.
_VARIABLES = {
    "https": ("https_proxy", "all_proxy"),
    "http": ("http_proxy", "all_proxy"),
    "wss": ("wss_proxy", "https_proxy", "all_proxy"),
    "ws": ("ws_proxy", "https_proxy", "http_proxy", "all_proxy"),
}
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_LOCAL_DOMAINS = ("localhost", "local", "svc", "internal")


class Proxy(NamedTuple):
    """A proxy: ``url`` may contain credentials; ``name`` (scheme, host, port) does not; ``variable`` is its source."""

    url: str
    name: str
    variable: str

    def __str__(self) -> str:
        return f"{self.name} ({self.variable})"


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for ``url`` according to ``environment``, None for a direct connection.

    Raises:
        Misconfigured: the proxy's URL is invalid, or it is a SOCKS proxy.
    """
    address = urlsplit(url)
    host = (address.hostname or "").rstrip(".")
    port = address.port or _PORTS[address.scheme]
    if is_local(host) or _is_excepted(host, port, _value(environment, "no_proxy")[1]):
        return None
    for variable in _VARIABLES[address.scheme]:
        name, value = _value(environment, variable)
        if value:
            return _parse(name, value)
    return None


def is_local(host: str) -> bool:
    """Return whether ``host`` is loopback, private, or a name that only this machine or its cluster resolves."""
    host = host.lower().rstrip(".")
    if (ip := _ip(host)) is not None:
        return ip.is_loopback or ip.is_private or ip.is_link_local or ip.is_unspecified
    *parents, domain = host.split(".")
    return not parents or domain in _LOCAL_DOMAINS


def _value(environment: Mapping[str, str], variable: str) -> tuple[str, str]:
    """Return the name of ``variable`` as it is set (lower or upper case) and its value, "" if it is not set."""
    name = variable if variable in environment else variable.upper()
    return name, environment.get(name, "").strip()


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Return whether ``no_proxy`` contains ``host``, a parent domain, a network that contains it, or ``*``."""
    return any(
        entry == "*" or (entry_port in ("", str(port)) and _is_within(host.lower(), entry))
        for entry, entry_port in _entries(no_proxy)
    )


def _entries(no_proxy: str) -> Iterator[tuple[str, str]]:
    """Yield the host and the port of each entry; the port is "" if the entry is for all ports."""
    for entry in no_proxy.lower().replace(",", " ").split():
        host, colon, port = entry.rpartition(":")
        has_port = colon and port.isdigit() and (":" not in host or host.endswith("]"))
        yield ((host if has_port else entry).strip("[]"), port if has_port else "")


def _is_within(host: str, entry: str) -> bool:
    if (ip := _ip(host)) is not None:
        try:
            return ip in ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def _parse(variable: str, value: str) -> Proxy:
    """Return the proxy with the URL ``value``; without a scheme it is an HTTP proxy, as for curl."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not value.isascii() or any(character.isspace() for character in value):
        raise Misconfigured(f"{variable} is not the URL of a proxy: {_FIX}")
    if parts.scheme.startswith("socks"):
        raise Misconfigured(f"{variable} names a SOCKS proxy, but only HTTP proxies are supported: {_FIX}")
    if parts.scheme not in ("http", "https"):
        raise Misconfigured(f"{variable} names a proxy of an unknown kind ({parts.scheme[:20]}): {_FIX}")
    address = f"{f'[{host}]' if ':' in host else host}:{port or _PORTS[parts.scheme]}"
    return Proxy(f"{parts.scheme}://{_credentials(parts)}{address}", f"{parts.scheme}://{address}", variable)


def _credentials(parts: SplitResult) -> str:
    return f"{parts.username}:{parts.password or ''}@" if parts.username else ""


_FIX = "set it as http://host:port, unset it, or add the exchange's host to no_proxy"
