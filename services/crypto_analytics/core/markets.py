"""Recognise the hosts of the exchange's derivatives markets."""

# https://developers.binance.com/docs/derivatives (USD-M and COIN-M futures, options, portfolio margin; their testnets).
_DERIVATIVES_SERVICES = frozenset({"fapi", "dapi", "eapi", "papi", "fstream", "dstream", "nbstream"})
_FUTURES_DOMAIN = "binancefuture.com"


def is_futures_host(host: str) -> bool:
    """Whether ``host`` serves derivatives, whose trades are not those of the spot market, such as fapi.binance.com."""
    host = host.lower().rstrip(".")
    service, _, domain = host.partition(".")
    is_derivatives_api = bool(_DERIVATIVES_SERVICES.intersection(service.split("-"))) and domain.startswith("binance")
    return is_derivatives_api or host == _FUTURES_DOMAIN or host.endswith(f".{_FUTURES_DOMAIN}")
