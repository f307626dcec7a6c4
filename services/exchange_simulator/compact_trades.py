"""A list of trades in little memory: a day of a busy symbol has millions of them."""

import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Self

from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade


class CompactTrades:
    """An append-only list of trades, or of aggregated trades, in columns: about 30 bytes for each, and its strings."""

    def __init__(self) -> None:
        self.symbols: dict[str, int] = {}
        self.ids = array("q")
        self.times = array("q")
        self._names: list[str] = []
        self._symbol = array("H")
        self._firsts = array("q")  # empty in a list of individual trades
        self._lasts = array("q")
        self._prices: list[str] = []
        self._quantities: list[str] = []
        self._maker = bytearray()
        self._best = bytearray()
        self._messages: list[str] = []

    def __len__(self) -> int:
        return len(self.ids)

    def append(self, trade: AnyTrade) -> None:
        """Add ``trade``. All elements of a list have one type, and all or none have a message."""
        index = self.symbols.setdefault(trade.symbol, len(self.symbols))
        if index == len(self._names):
            self._names.append(trade.symbol)
        self._symbol.append(index)
        self.ids.append(trade.id)
        self.times.append(trade.time)
        self._prices.append(sys.intern(trade.price))
        self._quantities.append(sys.intern(trade.quantity))
        self._maker.append(trade.buyer_is_maker)
        self._best.append(trade.is_best_match)
        if isinstance(trade, AggregateTrade):
            self._firsts.append(trade.first_id)
            self._lasts.append(trade.last_id)
        if trade.message is not None:
            self._messages.append(trade.message)

    def selected(self, positions: Iterable[int]) -> Self:
        """Return a list of the elements at ``positions``, in this order."""
        other = type(self)()
        for position in positions:
            other.append(self[position])
        return other

    def symbol_of(self, position: int) -> str:
        """Return the symbol of the trade at ``position``."""
        return self._names[self._symbol[position]]

    def last_id_of(self, position: int) -> int:
        """Return the last trade id of the trade at ``position``."""
        return self._lasts[position] if self._lasts else self.ids[position]

    def __getitem__(self, position: int) -> AnyTrade:
        symbol = self._names[self._symbol[position]]
        price, quantity = self._prices[position], self._quantities[position]
        maker, best = bool(self._maker[position]), bool(self._best[position])
        message = self._messages[position] if self._messages else None
        if not self._firsts:
            return Trade(symbol, self.ids[position], price, quantity, self.times[position], maker, best, message)
        return AggregateTrade(
            symbol,
            self.ids[position],
            price,
            quantity,
            self._firsts[position],
            self._lasts[position],
            self.times[position],
            maker,
            best,
            message,
        )

    def __iter__(self) -> Iterator[AnyTrade]:
        return map(self.__getitem__, range(len(self)))
