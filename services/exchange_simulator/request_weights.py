"""Request weights, as in the exchange's REST reference, and the weight that each address has used."""

from collections import Counter
from collections.abc import Callable

LIMIT_PER_MINUTE = 6000
_WEIGHTS = {
    "/api/v3/ping": 1,
    "/api/v3/time": 1,
    "/api/v3/klines": 2,
    "/api/v3/aggTrades": 4,
    "/api/v3/trades": 25,
    "/api/v3/historicalTrades": 25,
    "/api/v3/exchangeInfo": 20,
}


def weight_of(path: str, symbols: int | None) -> int:
    """Return the weight of a request of ``path`` for a number of ``symbols`` (None: all)."""
    if path != "/api/v3/ticker/24hr":
        return _WEIGHTS.get(path, 1)
    if symbols is None or symbols > 100:
        return 80
    return 2 if symbols <= 20 else 40


class WeightMeter:
    """Weight used by each address in the current minute; ``now`` returns seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._minute = 0
        self._used: Counter[str] = Counter()

    def charge(self, address: str, weight: int) -> int:
        """Add ``weight`` and return the weight that ``address`` has used in this minute."""
        minute = int(self._now() // 60)
        if minute != self._minute:
            self._minute = minute
            self._used.clear()
        self._used[address] += weight
        return self._used[address]

    def seconds_left(self) -> int:
        """Return the seconds to the next minute, at least one."""
        return max(1, 60 - int(self._now() % 60))
