"""What the name of an archive tells: ``<SYMBOL>-trades-2025-03-04``, ``<SYMBOL>-aggTrades-…``, ``<SYMBOL>-1m-…``. Pure.

The exchange's own rule for names: https://github.com/binance/binance-public-data.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from exchange_simulator.symbols import is_symbol

Archive = Literal["trades", "aggTrades", "klines"]

_NAME = re.compile(r"(?P<symbol>.*?)-(?P<kind>trades|aggTrades|[0-9]+(?:s|m|h|d|w|mo))(?=[-.]|$)")
_SEPARATOR = re.compile(r"[-_.]")
# 2025, 202503 or 20250304. A delivery contract's date (BTCUSDT_240329) has two digits for the year.
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:[0-9]{2})?)?")


class Told(NamedTuple):
    """What a name tells; None where it does not."""

    symbol: str | None
    archive: Archive | None


def read_name(name: str) -> Told:
    """Return what the name of a file tells. The symbol is all that stands before ``-trades`` and its like.

    It is not told where that is no symbol, has a hyphen (no symbol of the spot market has) or a part that is a date:
    ``2025-03-04_TRXUSDT-trades.csv`` tells no symbol.
    """
    match = _NAME.match(name)
    if match is None:
        return Told(None, None)
    kind = match["kind"]
    archive: Archive = "trades" if kind == "trades" else "aggTrades" if kind == "aggTrades" else "klines"
    symbol = match["symbol"]
    has_date = any(_DATE.fullmatch(part) for part in _SEPARATOR.split(symbol))
    return Told(symbol if is_symbol(symbol) and "-" not in symbol and not has_date else None, archive)


def read_names(names: Iterable[str]) -> Told:
    """Return what the names of a zip and of its member tell together.

    Raises:
        ValueError: they contradict each other.
    """
    told = [read_name(name) for name in names]
    symbols = {one.symbol for one in told if one.symbol is not None}
    archives = {one.archive for one in told if one.archive is not None}
    if len(symbols) > 1 or len(archives) > 1:
        raise ValueError("the zip's name and its member's tell of different archives; rename the zip as its member")
    return Told(next(iter(symbols), None), next(iter(archives), None))
