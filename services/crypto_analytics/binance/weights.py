"""The request-weight budget of the REST interface: 6000 a minute and address, counted by the exchange.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (IP Limits). The exchange counts per minute
and tells its count in the header X-MBX-USED-WEIGHT-1M; between two answers we count ourselves. Whoever would
exceed the budget waits for the next minute: a 429 is a warning, and ignoring it ends in a ban.

Two clocks: the exchange's minute begins with the wall clock's, and everything is measured on a monotonic clock, which
nobody can set. Where the wall clock is set, what is used stays counted until the minute has ended by either clock.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from crypto_analytics.runtime import metrics

MINUTE_SECONDS = 60.0
LARGEST_WEIGHT = 80


_CLOCK_WAS_SET_SECONDS = 1.0  # a larger difference between the two clocks in a minute is no drift


class WeightBudget:
    """What may still be spent in the current minute, shared by all requests of a process."""

    def __init__(
        self,
        limit: int = 6000,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``limit`` is the weight per minute; ``wall`` gives seconds since the epoch, ``monotonic`` since any moment.

        Raises:
            ValueError: ``limit`` is below the heaviest request's weight, which could then never be sent.
        """
        if limit < LARGEST_WEIGHT:
            raise ValueError(f"a weight limit of {limit} is below {LARGEST_WEIGHT}, the heaviest request")
        self._limit = limit
        self._wall = wall
        self._monotonic = monotonic
        self._sleep = sleep
        self._used = 0
        self._minute_ends = -math.inf  # monotonic, as the end of the pause is
        self._paused_until = -math.inf
        self._difference = 0.0  # of the wall clock to the monotonic one, when last looked at

    async def acquire(self, weight: int) -> None:
        """Wait until ``weight`` fits into the minute and no pause is in force, then count it as used."""
        while (seconds := self.seconds_until(weight)) > 0:
            await self._sleep(seconds)
        self._count(self._used + weight)

    def seconds_until(self, weight: int) -> float:
        """Return how long a request of ``weight`` has to wait as things stand now."""
        now = self._roll()
        full = self._minute_ends - now if self._used + weight > self._limit else 0.0
        return max(self._paused_until - now, full, 0.0)

    def report(self, used: int) -> None:
        """Take over the exchange's own count, which includes what others on this address use."""
        self._roll()
        self._count(max(self._used, used))

    def pause(self, seconds: float) -> None:
        """Let nobody send anything for ``seconds``."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

    def _count(self, used: int) -> None:
        self._used = used
        metrics.REST_WEIGHT.set(used)

    def _roll(self) -> float:
        """Begin a new minute where the last one has ended; return the monotonic time."""
        now, wall = self._monotonic(), self._wall()
        next_minute = now + MINUTE_SECONDS - wall % MINUTE_SECONDS
        if now >= self._minute_ends:
            skewed = next_minute - now <= _CLOCK_WAS_SET_SECONDS  # the wall clock is a moment behind: no new minute yet
            self._minute_ends = next_minute + MINUTE_SECONDS * skewed
            self._count(0)
        elif abs(wall - now - self._difference) > _CLOCK_WAS_SET_SECONDS:
            self._minute_ends = max(self._minute_ends, next_minute)
        self._difference = wall - now
        return now
