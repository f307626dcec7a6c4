"""Which of the followed symbols the exchange knows, and which of those it trades.

The exchange rejects a request for several symbols as a whole if it does not know one of them (code -1121) or cannot
read one's name (-1100): https://developers.binance.com/docs/binance-spot-api-docs/errors. So the unknown ones are
isolated by bisection, are left out of every later request, and are asked for again by themselves.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from crypto_analytics.binance.errors import Rejected
from crypto_analytics.binance.rest import SymbolInfo
from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.runtime import metrics

TRADING = "TRADING"
UNKNOWN = "UNKNOWN"

_SYMBOL_REJECTED = frozenset({-1121, -1100})
_SYMBOLS_A_REQUEST = 100  # more names make a URL that hosts may refuse

Answer = TypeVar("Answer")

log = structlog.get_logger("producer.symbol_statuses")


class SymbolSource(Protocol):
    """What is used of :class:`crypto_analytics.binance.rest.BinanceRest` here."""

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        """Return the trade ids of the last 24 hours."""
        ...

    async def exchange_info(self, symbols: Sequence[str]) -> dict[str, SymbolInfo]:
        """Return the symbols' statuses."""
        ...


class SymbolStatuses:
    """Asks the exchange about symbols without letting one that it does not know spoil the answer for the others."""

    def __init__(self, exchange: SymbolSource) -> None:
        self._exchange = exchange
        self._statuses: dict[str, str] = {}  # of the symbols that are not traded, as last reported

    @property
    def unknown(self) -> set[str]:
        """The symbols that the exchange did not know when it was last asked about them."""
        return {symbol for symbol, status in self._statuses.items() if status == UNKNOWN}

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        """Return the trade ids of the last 24 hours (None: none) of those of ``symbols`` that the exchange knows.

        Symbols found unknown by an earlier call are not asked for; see :meth:`find_listed`.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        asked = [symbol for symbol in symbols if self._statuses.get(symbol) != UNKNOWN]
        found = await _isolated(self._exchange.ids_of_last_day, asked)
        for symbol in asked:
            if symbol not in found:
                self._report(symbol, UNKNOWN)
        return found

    async def find_listed(self) -> set[str]:
        """Ask again about the unknown symbols and return those that the exchange has listed meanwhile.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        listed = set(await _isolated(self._exchange.ids_of_last_day, sorted(self.unknown)))
        for symbol in listed:
            self._report(symbol, TRADING)
        return listed

    async def find_resumed(self, symbols: Sequence[str]) -> set[str]:
        """Read the status of those of ``symbols`` that are known; return those that are traded again.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        known = [symbol for symbol in symbols if self._statuses.get(symbol) != UNKNOWN]
        resumed = set()
        for start in range(0, len(known), _SYMBOLS_A_REQUEST):
            part = known[start : start + _SYMBOLS_A_REQUEST]
            for symbol, info in (await _isolated(self._exchange.exchange_info, part)).items():
                if symbol in self._statuses and info.status == TRADING:
                    resumed.add(symbol)
                self._report(symbol, info.status)
        return resumed

    def _report(self, symbol: str, status: str) -> None:
        """Publish the status of ``symbol``, and log it where it changed."""
        before = self._statuses.pop(symbol, TRADING)
        if before != TRADING:
            metrics.SYMBOLS_NOT_TRADING.remove(symbol, before)
        if status != TRADING:
            self._statuses[symbol] = status
            metrics.SYMBOLS_NOT_TRADING.labels(symbol, status).set(1)
        if status == before:
            return
        if status == UNKNOWN:
            log.error(
                "symbol_unknown",
                symbol=symbol,
                cause="the exchange lists no such symbol; the others are followed, and it is asked for again",
                next="correct SYMBOLS, or take the symbol out; nothing, if it is about to be listed",
            )
        elif status == TRADING:
            log.info("symbol_traded", symbol=symbol, before=before)
        else:
            log.warning(
                "symbol_not_traded",
                symbol=symbol,
                status=status,
                next="nothing if the pause is temporary; otherwise take the symbol out of SYMBOLS",
            )


async def _isolated(
    request: Callable[[Sequence[str]], Awaitable[dict[str, Answer]]], symbols: Sequence[str]
) -> dict[str, Answer]:
    """Ask about ``symbols``, in halves where the exchange rejects a name: at most 2n - 1 requests for n symbols."""
    if not symbols:
        return {}
    try:
        return await request(symbols)
    except Rejected as error:
        if error.code not in _SYMBOL_REJECTED:
            raise
    if len(symbols) == 1:
        return {}
    middle = len(symbols) // 2
    return await _isolated(request, symbols[:middle]) | await _isolated(request, symbols[middle:])
