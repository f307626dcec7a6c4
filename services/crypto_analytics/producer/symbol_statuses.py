"""Find out which of the followed symbols the exchange lists, and which of those it trades.

The exchange rejects a request for several symbols as a whole if one of them is unknown (code -1121) or has an illegal
name (-1100): https://developers.binance.com/docs/binance-spot-api-docs/errors. So bisection isolates the unknown
symbols; later requests leave them out, and a separate request asks for them again.
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
_SYMBOLS_PER_REQUEST = 100  # more names make a URL that hosts may refuse

Answer = TypeVar("Answer")

log = structlog.get_logger("producer.symbol_statuses")


class SymbolSource(Protocol):
    """The methods of :class:`crypto_analytics.binance.rest.BinanceRest` that are used here."""

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        """Return each symbol's first and last trade id of the last 24 hours; None if it had no trade."""
        ...

    async def exchange_info(self, symbols: Sequence[str]) -> dict[str, SymbolInfo]:
        """Return each symbol's status."""
        ...


class SymbolStatuses:
    """Requests for several symbols of which an unknown one does not fail the others, and their last statuses."""

    def __init__(self, exchange: SymbolSource) -> None:
        self._exchange = exchange
        self._statuses: dict[str, str] = {}  # of the symbols that are not traded

    @property
    def unknown(self) -> set[str]:
        """The symbols that were unknown to the exchange at the last request."""
        return {symbol for symbol, status in self._statuses.items() if status == UNKNOWN}

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        """Return the first and last trade id of the last 24 hours of each of ``symbols`` that the exchange lists.

        None stands for a symbol without a trade. Symbols found unknown by an earlier call are left out; see
        :meth:`find_listed`.

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
        """Request the unknown symbols again and return those that the exchange has listed meanwhile.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        listed = set(await _isolated(self._exchange.ids_of_last_day, sorted(self.unknown)))
        for symbol in listed:
            self._report(symbol, TRADING)
        return listed

    async def find_resumed(self, symbols: Sequence[str]) -> set[str]:
        """Read the status of each known one of ``symbols``; return those whose trading has resumed.

        Raises:
            ExchangeError: the exchange does not answer.
        """
        known = [symbol for symbol in symbols if self._statuses.get(symbol) != UNKNOWN]
        resumed = set()
        for start in range(0, len(known), _SYMBOLS_PER_REQUEST):
            part = known[start : start + _SYMBOLS_PER_REQUEST]
            for symbol, info in (await _isolated(self._exchange.exchange_info, part)).items():
                if symbol in self._statuses and info.status == TRADING:
                    resumed.add(symbol)
                self._report(symbol, info.status)
        return resumed

    def _report(self, symbol: str, status: str) -> None:
        """Publish the status of ``symbol`` as a metric, and log it if it has changed."""
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
                "symbol_not_found",
                symbol=symbol,
                cause="the exchange lists no such symbol; the others are followed, and this one is requested again",
                next="correct SYMBOLS, or remove the symbol; nothing if it is about to be listed",
            )
        elif status == TRADING:
            log.info("symbol_resumed", symbol=symbol, before=before)
        else:
            log.warning(
                "symbol_not_traded",
                symbol=symbol,
                status=status,
                next="nothing if the pause is temporary; otherwise remove the symbol from SYMBOLS",
            )


async def _isolated(
    request: Callable[[Sequence[str]], Awaitable[dict[str, Answer]]], symbols: Sequence[str]
) -> dict[str, Answer]:
    """Request ``symbols``, in halves if the exchange rejects a name: at most 2n - 1 requests for n symbols."""
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
