"""Trades that REST does not return for a while, or ever: it simulates REST lagging behind the stream."""

import math
from collections.abc import Callable
from typing import Literal

from exchange_simulator.trades import AnyTrade


class HiddenTrades:
    """Hidden trade ids by symbol; ``now`` gives seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until: dict[tuple[str, int], float] = {}

    def hide(self, trade: AnyTrade, seconds: float | Literal["forever"]) -> None:
        """Hide the trade ids of ``trade`` for ``seconds`` from now."""
        until = math.inf if seconds == "forever" else self._now() + seconds
        for trade_id in range(trade.first_id, trade.last_id + 1):
            self._until[trade.symbol, trade_id] = until

    def hides(self, trade: AnyTrade) -> bool:
        """Return whether one of its trade ids is hidden now: an aggregated trade is hidden as a whole."""
        if not self._until:
            return False
        return any(self._is_hidden((trade.symbol, trade_id)) for trade_id in range(trade.first_id, trade.last_id + 1))

    def _is_hidden(self, key: tuple[str, int]) -> bool:
        until = self._until.get(key)
        if until is None:
            return False
        if until <= self._now():
            del self._until[key]
            return False
        return True
