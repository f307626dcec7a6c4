"""Symbols: which texts are valid ones, and the properties of generated ones: price, tick and lot size, assets."""

import re
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

SCALE = 8  # decimals of prices and quantities on the wire

QUOTE_ASSETS = ("FDUSD", "USDT", "USDC", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY")

# The rule that the exchange's error -1100 states: [\w\-._&&[^a-z]]{1,50}.
SYMBOL_RULE = "at most 50 letters (no lower-case ones), digits, _, - and ."
_SYMBOL = re.compile(r"[\w.-]{1,50}")


def is_symbol(text: str) -> bool:
    """Return whether ``text`` can be a symbol: it needs a letter, of any script, so ``.`` and ``..`` are refused."""
    return (
        _SYMBOL.fullmatch(text) is not None and text.upper() == text and any(character.isalnum() for character in text)
    )


class Listing(NamedTuple):
    """Mean price in ticks, decimals of tick and lot, and the largest quantity in lots."""

    price_ticks: int
    price_decimals: int
    lot_decimals: int
    largest_lots: int

    @property
    def tick_scale(self) -> int:
        """One tick, scaled by 10^8."""
        return int(10 ** (SCALE - self.price_decimals))

    @property
    def lot_scale(self) -> int:
        """One lot, scaled by 10^8."""
        return int(10 ** (SCALE - self.lot_decimals))

    @property
    def step_ticks(self) -> int:
        """The step of the random walk between trades: 1/50,000 of the price, at least a tick."""
        return max(1, self.price_ticks // 50_000)


def _listing(price: str, largest: str, lot_decimals: int) -> Listing:
    tick_decimals = len(price.partition(".")[2])
    return Listing(int(Decimal(price).scaleb(tick_decimals)), tick_decimals, lot_decimals,
                   int(Decimal(largest).scaleb(lot_decimals)))  # fmt: skip


_KNOWN = {
    "BTCUSDT": _listing("97000.00", "0.8", 5),
    "ETHUSDT": _listing("3400.00", "24", 4),
    "BNBUSDT": _listing("680.00", "60", 3),
    "SOLUSDT": _listing("190.00", "300", 3),
    "XRPUSDT": _listing("2.3000", "20000", 1),
    "TRXUSDT": _listing("0.2500", "90000", 1),
    "ADAUSDT": _listing("0.9500", "40000", 1),
    "DOGEUSDT": _listing("0.33000", "90000", 0),
    "ETHBTC": _listing("0.03500", "12", 4),
    "BNBBTC": _listing("0.007000", "30", 3),
}


def listing_of(symbol: str) -> Listing:
    """Return the listing of ``symbol``; an unknown one gets a price from 1 to 101 by its name, tick 0.0001, lot 0.1."""
    known = _KNOWN.get(symbol)
    if known is not None:
        return known
    ticks = 10_000 + int.from_bytes(sha256(symbol.encode()).digest()[:8], "little") % 1_000_000
    return Listing(ticks, 4, 1, 2_000_000_000 // ticks)


def assets_of(symbol: str) -> tuple[str, str]:
    """Return base and quote asset of ``symbol``; the quote asset is recognised by the symbol's ending."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol, ""
