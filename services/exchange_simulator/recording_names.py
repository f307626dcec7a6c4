"""Parse the name of an archive: ``<SYMBOL>-trades-2025-03-04``, ``<SYMBOL>-aggTrades-…``, ``<SYMBOL>-1m-…``. Pure.

The exchange's own rule for names: https://github.com/binance/binance-public-data.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from exchange_simulator.symbols import is_symbol

ArchiveKind = Literal["trades", "aggTrades", "klines"]

_NAME = re.compile(r"(?P<symbol>.*?)-(?P<kind>trades|aggTrades|[0-9]+(?:s|m|h|d|w|mo))(?=[-.]|$)")
_SEPARATOR = re.compile(r"[-_.]")
# 2025, 202503 or 20250304. A delivery contract's date (BTCUSDT_240329) has two digits for the year.
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:[0-9]{2})?)?")


class ArchiveName(NamedTuple):
    """Symbol and kind in the name of an archive; None if the name has none."""

    symbol: str | None
    archive: ArchiveKind | None


def read_name(name: str) -> ArchiveName:
    """Return symbol and kind from the name of a file. The symbol is the text before ``-trades``, ``-1m`` and the like.

    It is None if that text is not a symbol, has a hyphen (no symbol of the spot market has one) or a date:
    ``2025-03-04_TRXUSDT-trades.csv`` has no symbol.
    """
    match = _NAME.match(name)
    if match is None:
        return ArchiveName(None, None)
    kind = match["kind"]
    archive: ArchiveKind = "trades" if kind == "trades" else "aggTrades" if kind == "aggTrades" else "klines"
    symbol = match["symbol"]
    has_date = any(_DATE.fullmatch(part) for part in _SEPARATOR.split(symbol))
    return ArchiveName(symbol if is_symbol(symbol) and "-" not in symbol and not has_date else None, archive)


def read_names(names: Iterable[str]) -> ArchiveName:
    """Return symbol and kind from the names of a zip and of its member.

    Raises:
        ValueError: they contradict each other.
    """
    parsed = [read_name(name) for name in names]
    symbols = {one.symbol for one in parsed if one.symbol is not None}
    archives = {one.archive for one in parsed if one.archive is not None}
    if len(symbols) > 1 or len(archives) > 1:
        raise ValueError("the zip and its member name different archives; rename the zip like its member")
    return ArchiveName(next(iter(symbols), None), next(iter(archives), None))
