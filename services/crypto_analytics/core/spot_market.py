"""Rules of the exchange's spot market: valid symbols, and hosts that serve other markets."""

import re

MAX_SYMBOL_LENGTH = 50
SYMBOL_RULE = f"at most {MAX_SYMBOL_LENGTH} letters (no lower-case ones), digits, _, - and ."

# The exchange's error -1100 states the rule [\w\-._&&[^a-z]]{1,50}. Letters of any script are valid: the exchange lists
# symbols with Chinese characters.
_SYMBOL = re.compile(rf"[\w.-]{{1,{MAX_SYMBOL_LENGTH}}}")

# https://developers.binance.com/docs/derivatives (USD-M and COIN-M futures, options, portfolio margin; their testnets).
_DERIVATIVES_SERVICES = frozenset({"fapi", "dapi", "eapi", "papi", "fstream", "dstream", "nbstream"})
_FUTURES_DOMAIN = "binancefuture.com"


def is_symbol(text: str) -> bool:
    """Return whether ``text`` can be a symbol: upper-case or caseless letters, digits, ``_``, ``-`` and ``.``.

    At least one letter or digit is required, because symbols are also folder names in the object store, where ``.`` and
    ``..`` have another meaning.
    """
    return (
        _SYMBOL.fullmatch(text) is not None and text.upper() == text and any(character.isalnum() for character in text)
    )


def is_futures_host(host: str) -> bool:
    """Return whether ``host`` serves derivatives instead of the spot market, such as fapi.binance.com."""
    host = host.lower().rstrip(".")
    service, _, domain = host.partition(".")
    is_derivatives_api = bool(_DERIVATIVES_SERVICES.intersection(service.split("-"))) and domain.startswith("binance")
    return is_derivatives_api or host == _FUTURES_DOMAIN or host.endswith(f".{_FUTURES_DOMAIN}")
