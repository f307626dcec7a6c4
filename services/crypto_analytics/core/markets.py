"""Which hosts of the exchange serve another market than spot. Pure."""

# https://developers.binance.com/docs/derivatives (USD-M and COIN-M futures, options, portfolio margin; their testnets).
_OTHER_SERVICES = frozenset({"fapi", "dapi", "eapi", "papi", "fstream", "dstream", "nbstream"})
_FUTURES_DOMAIN = "binancefuture.com"


def is_futures_host(host: str) -> bool:
    """Whether ``host`` is one of the exchange's derivatives, such as fapi.binance.com: its trades are others."""
    host = host.lower().rstrip(".")
    service, _, domain = host.partition(".")
    named = bool(_OTHER_SERVICES.intersection(service.split("-"))) and domain.startswith("binance")
    return named or host == _FUTURES_DOMAIN or host.endswith(f".{_FUTURES_DOMAIN}")
