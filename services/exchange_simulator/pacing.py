"""When the next trades are due: as fast as clients read, at a fixed rate, or each at its own time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from exchange_simulator.times import SECOND, Clock
from exchange_simulator.trades import AnyTrade

BATCH = 256  # largest number of trades sent at once: REST requests and new connections are served in between
_TICK_SECONDS = 0.005  # with a fixed rate, due trades are sent at this interval

Sleep = Callable[[float], Awaitable[None]]


class Due(NamedTuple):
    """At most ``trades`` trades may be sent now, none later than ``latest`` (microseconds; None: no limit)."""

    trades: int
    latest: int | None = None


class Pace(Protocol):
    """Decides when trades are sent."""

    def begin(self, starts_at: int) -> int:
        """Start the play and return the time (microseconds) after which trades are sent."""

    async def due(self, upcoming: AnyTrade, position: int) -> Due:
        """Wait until ``upcoming``, the trade at ``position``, is due, and return how many trades are due."""

    async def end(self, ends_at: int | None) -> None:
        """Wait until the end time of the play."""


class Backpressure:
    """As fast as ``room`` allows, which waits for a client, and for the slowest one."""

    def __init__(self, room: Callable[[], Awaitable[None]]) -> None:
        self._room = room

    def begin(self, starts_at: int) -> int:
        """See :class:`Pace`."""
        return starts_at

    async def due(self, upcoming: AnyTrade, position: int) -> Due:
        """See :class:`Pace`."""
        await self._room()
        return Due(BATCH)

    async def end(self, ends_at: int | None) -> None:
        """See :class:`Pace`."""


class FixedRate:
    """``rate`` trades per second by ``now`` (seconds), independent of clients; it catches up after a delay."""

    def __init__(self, rate: float, now: Callable[[], float], sleep: Sleep = asyncio.sleep) -> None:
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._began = 0.0

    def begin(self, starts_at: int) -> int:
        """See :class:`Pace`."""
        self._began = self._now()
        return starts_at

    async def due(self, upcoming: AnyTrade, position: int) -> Due:
        """See :class:`Pace`."""
        while (due := int((self._now() - self._began) * self._rate) - position) < 1:
            until_next = self._began + (position + 1) / self._rate - self._now()
            await self._sleep(max(until_next, _TICK_SECONDS))
        return Due(min(due, BATCH))

    async def end(self, ends_at: int | None) -> None:
        """See :class:`Pace`."""


class RealTime:
    """Each trade when ``clock`` (microseconds) reaches its trade time."""

    def __init__(self, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep

    def begin(self, starts_at: int) -> int:
        """Start now: trades that were due before count as history."""
        return max(starts_at, self._clock())

    async def due(self, upcoming: AnyTrade, position: int) -> Due:
        """See :class:`Pace`."""
        await self._wait_for(upcoming.time)
        return Due(BATCH, self._clock())

    async def end(self, ends_at: int | None) -> None:
        """See :class:`Pace`."""
        if ends_at is not None:
            await self._wait_for(ends_at)

    async def _wait_for(self, time: int) -> None:
        while (wait := time - self._clock()) > 0:
            await self._sleep(wait / SECOND)
