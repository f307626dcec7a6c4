"""The request-weight budget of the REST interface: 6000 a minute and address, counted by the exchange.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (IP Limits). The exchange counts per minute
and tells its count in the header X-MBX-USED-WEIGHT-1M; between two answers we count ourselves. Whoever would
exceed the budget waits for the next minute: a 429 is a warning, and ignoring it ends in a ban.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from crypto_analytics.runtime import metrics

MINUTE_SECONDS = 60.0
LARGEST_WEIGHT = 80


class WeightBudget:
    """What may still be spent in the current minute, shared by all requests of a process."""

    def __init__(
        self,
        limit: int = 6000,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``limit`` is the weight per minute; ``now`` gives seconds since the epoch.

        Raises:
            ValueError: ``limit`` is below the heaviest request's weight, which could then never be sent.
        """
        if limit < LARGEST_WEIGHT:
            raise ValueError(f"a weight limit of {limit} is below {LARGEST_WEIGHT}, the heaviest request")
        self._limit = limit
        self._now = now
        self._sleep = sleep
        self._minute = 0.0
        self._used = 0
        self._paused_until = 0.0

    async def acquire(self, weight: int) -> None:
        """Wait until ``weight`` fits into the minute and no pause is in force, then count it as used."""
        while (seconds := self.seconds_until(weight)) > 0:
            await self._sleep(seconds)
        self._count(self._used + weight)

    def seconds_until(self, weight: int) -> float:
        """Return how long a request of ``weight`` has to wait as things stand now."""
        now = self._now()
        self._roll(now)
        pause = self._paused_until - now
        full = self._minute + MINUTE_SECONDS - now if self._used + weight > self._limit else 0.0
        return max(pause, full, 0.0)

    def report(self, used: int) -> None:
        """Take over the exchange's own count, which includes what others on this address use."""
        self._roll(self._now())
        self._count(max(self._used, used))

    def pause(self, seconds: float) -> None:
        """Let nobody send anything for ``seconds``."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _count(self, used: int) -> None:
        self._used = used
        metrics.REST_WEIGHT.set(used)

    def _roll(self, now: float) -> None:
        minute = now - now % MINUTE_SECONDS
        if minute != self._minute:
            self._minute = minute
            self._count(0)
