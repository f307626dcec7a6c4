"""Stay within the exchange's rate limits: request weight of the REST interface, and connection attempts of streams.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (IP Limits) and
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (WebSocket Limits).
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable

from crypto_analytics.runtime import metrics

MINUTE_SECONDS = 60.0
LARGEST_WEIGHT = 80
MAX_ATTEMPTS = 300
ATTEMPTS_WINDOW = 300.0  # seconds

_CLOCK_ADJUSTED_SECONDS = 1.0  # the clocks drift apart by less in a minute; more means that one was adjusted


class WeightBudget:
    """The request weight left in the current minute, of the exchange's 6000 per minute and IP address.

    All requests of a process share it. The exchange counts per minute and reports its count in the header
    X-MBX-USED-WEIGHT-1M; between two responses the client counts. A request that would exceed the budget waits for the
    next minute, because repeated 429 responses lead to a ban of the address.

    The exchange's minutes start with those of the wall clock; durations are measured with a monotonic clock, which is
    never adjusted. If the wall clock is adjusted, the used weight stays counted until the minute has ended by both.
    """

    def __init__(
        self,
        limit: int = 6000,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``limit`` is the weight per minute. ``wall`` returns seconds since the epoch.

        Raises:
            ValueError: ``limit`` is below the weight of the heaviest request, which could then never be sent.
        """
        if limit < LARGEST_WEIGHT:
            raise ValueError(f"a weight limit of {limit} is below {LARGEST_WEIGHT}, the heaviest request")
        self._limit = limit
        self._wall = wall
        self._monotonic = monotonic
        self._sleep = sleep
        self._used = 0
        self._minute_ends = -math.inf  # monotonic seconds, as _paused_until
        self._paused_until = -math.inf
        self._difference = 0.0  # wall clock minus monotonic clock, at the last request

    async def acquire(self, weight: int) -> None:
        """Wait until ``weight`` fits into the current minute and no pause is active, then count it as used."""
        while (seconds := self.seconds_until(weight)) > 0:
            await self._sleep(seconds)
        self._count(self._used + weight)

    def seconds_until(self, weight: int) -> float:
        """Return the seconds that a request of ``weight`` has to wait, given the current use."""
        now = self._roll()
        full = self._minute_ends - now if self._used + weight > self._limit else 0.0
        return max(self._paused_until - now, full, 0.0)

    def report(self, used: int) -> None:
        """Adopt the exchange's count of used weight, which includes other clients on this IP address."""
        self._roll()
        self._count(max(self._used, used))

    def pause(self, seconds: float) -> None:
        """Send no request for ``seconds``."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

    def _count(self, used: int) -> None:
        self._used = used
        metrics.REST_WEIGHT.set(used)

    def _roll(self) -> float:
        """Start a new minute if the last one has ended; return the monotonic time."""
        now, wall = self._monotonic(), self._wall()
        next_minute = now + MINUTE_SECONDS - wall % MINUTE_SECONDS
        if now >= self._minute_ends:
            # Shortly before the next minute of a wall clock that is slightly behind, the same minute goes on.
            is_same_minute = next_minute - now <= _CLOCK_ADJUSTED_SECONDS
            self._minute_ends = next_minute + MINUTE_SECONDS * is_same_minute
            self._count(0)
        elif abs(wall - now - self._difference) > _CLOCK_ADJUSTED_SECONDS:
            self._minute_ends = max(self._minute_ends, next_minute)
        self._difference = wall - now
        return now


class ConnectionAttempts:
    """The exchange's limit of 300 connection attempts per 5 minutes and IP address, as a sliding window.

    All connections of a process share it, and the pause after a 429 or 418: the exchange counts per address. ``now``
    returns monotonic seconds.
    """

    def __init__(
        self,
        limit: int = MAX_ATTEMPTS,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._now = now
        self._sleep = sleep
        self._attempt_times: deque[float] = deque()
        self._paused_until = -math.inf

    async def acquire(self, wait: Callable[[float], Awaitable[None]] | None = None) -> None:
        """Wait until another attempt is allowed and count it; ``wait``, if given, is used instead of ``sleep``."""
        while (seconds := self._seconds_until_allowed()) > 0:
            await (wait or self._sleep)(seconds)
        self._attempt_times.append(self._now())

    def pause(self, seconds: float) -> None:
        """Allow no attempt for ``seconds``."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def _seconds_until_allowed(self) -> float:
        now = self._now()
        while self._attempt_times and self._attempt_times[0] + ATTEMPTS_WINDOW <= now:
            self._attempt_times.popleft()
        full = self._attempt_times[0] + ATTEMPTS_WINDOW - now if len(self._attempt_times) >= self._limit else 0.0
        return max(self._paused_until - now, full, 0.0)
