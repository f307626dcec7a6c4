"""Which proxy a connection goes through, by the variables that curl, Python and most programs know. Pure.

``https_proxy``, ``http_proxy``, ``wss_proxy``, ``ws_proxy`` and ``all_proxy`` name proxies, ``no_proxy`` the hosts that
are reached without one; the lower-case spelling wins over the upper-case one. This machine, private addresses and the
cluster's own names never go through a proxy, whatever the variables say: a proxy does not know them.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from crypto_analytics.binance.errors import Misconfigured

# Variables by the scheme of the address, the first one that is set counts. A WebSocket needs a tunnel, as https does.
_VARIABLES = {
    "https": ("https_proxy", "all_proxy"),
    "http": ("http_proxy", "all_proxy"),
    "wss": ("wss_proxy", "https_proxy", "all_proxy"),
    "ws": ("ws_proxy", "https_proxy", "http_proxy", "all_proxy"),
}
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_LOCAL_DOMAINS = ("localhost", "local", "svc", "internal")


class Proxy(NamedTuple):
    """A proxy: ``url`` may hold a login; ``name``, its scheme, host and port, is for errors; ``variable`` gave it."""

    url: str
    name: str
    variable: str

    def __str__(self) -> str:
        return f"{self.name} ({self.variable})"


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that ``environment`` names for ``url``, None where ``url`` is reached directly.

    Raises:
        Misconfigured: the proxy's address makes no sense, or is that of a SOCKS proxy.
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
    """Whether ``host`` is this machine, a private address, or a name that only this machine or its cluster knows."""
    host = host.lower().rstrip(".")
    if (ip := _ip(host)) is not None:
        return ip.is_loopback or ip.is_private or ip.is_link_local or ip.is_unspecified
    *parents, domain = host.split(".")
    return not parents or domain in _LOCAL_DOMAINS


def _value(environment: Mapping[str, str], variable: str) -> tuple[str, str]:
    """Return the spelling of ``variable`` that is set, and its value; "" where it is not set, or empty."""
    name = variable if variable in environment else variable.upper()
    return name, environment.get(name, "").strip()


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names ``host``: itself, a domain above it, a network that holds it, or all (``*``)."""
    return any(
        entry == "*" or (wanted in ("", str(port)) and _is_within(host.lower(), entry))
        for entry, wanted in _entries(no_proxy)
    )


def _entries(no_proxy: str) -> Iterator[tuple[str, str]]:
    """Yield the host and the port ("": any) of each entry."""
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
    """Return the proxy at ``value``; without a scheme it is an HTTP proxy, as for curl."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not value.isascii() or any(character.isspace() for character in value):
        raise Misconfigured(f"{variable} is no address of a proxy: {_MEND}")
    if parts.scheme.startswith("socks"):
        raise Misconfigured(f"{variable} names a SOCKS proxy, and only HTTP proxies can be used: {_MEND}")
    if parts.scheme not in ("http", "https"):
        raise Misconfigured(f"{variable} names a proxy of an unknown kind ({parts.scheme[:20]}): {_MEND}")
    place = f"{f'[{host}]' if ':' in host else host}:{port or _PORTS[parts.scheme]}"
    return Proxy(f"{parts.scheme}://{_login(parts)}{place}", f"{parts.scheme}://{place}", variable)


def _login(parts: SplitResult) -> str:
    return f"{parts.username}:{parts.password or ''}@" if parts.username else ""


_MEND = "set it as http://host:port, unset it, or add the exchange's host to no_proxy"
