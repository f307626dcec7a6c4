"""When the next trades are due: as fast as they are taken, at a fixed rate, or each at its own time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from exchange_simulator.times import SECOND, Clock
from exchange_simulator.trades import Record

BATCH = 256  # records at most in one go: REST and new connections get their turn in between
_TICK_SECONDS = 0.005  # a fixed rate sends what has become due this often

Sleep = Callable[[float], Awaitable[None]]


class Due(NamedTuple):
    """So many ``records`` at most may go now, none later than ``latest`` (microseconds; None: no matter)."""

    records: int
    latest: int | None = None


class Pace(Protocol):
    """Decides when records go."""

    def begin(self, starts_at: int) -> int:
        """Start the play and return the clock (microseconds) after which it is played."""

    async def due(self, upcoming: Record, position: int) -> Due:
        """Wait until ``upcoming``, the record at ``position``, is due, and return what is due with it."""

    async def end(self, ends_at: int | None) -> None:
        """Wait until the end of the play itself."""


class Backpressure:
    """As fast as ``room`` lets, which waits for the slowest client and for any client at all."""

    def __init__(self, room: Callable[[], Awaitable[None]]) -> None:
        self._room = room

    def begin(self, starts_at: int) -> int:
        """See :class:`Pace`."""
        return starts_at

    async def due(self, upcoming: Record, position: int) -> Due:
        """See :class:`Pace`."""
        await self._room()
        return Due(BATCH)

    async def end(self, ends_at: int | None) -> None:
        """See :class:`Pace`."""


class FixedRate:
    """``rate`` records a second by ``now`` (seconds), whoever listens; behind time it catches up."""

    def __init__(self, rate: float, now: Callable[[], float], sleep: Sleep = asyncio.sleep) -> None:
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._began = 0.0

    def begin(self, starts_at: int) -> int:
        """See :class:`Pace`."""
        self._began = self._now()
        return starts_at

    async def due(self, upcoming: Record, position: int) -> Due:
        """See :class:`Pace`."""
        while (due := int((self._now() - self._began) * self._rate) - position) < 1:
            until_next = self._began + (position + 1) / self._rate - self._now()
            await self._sleep(max(until_next, _TICK_SECONDS))
        return Due(min(due, BATCH))

    async def end(self, ends_at: int | None) -> None:
        """See :class:`Pace`."""


class RealTime:
    """Each record when ``clock`` (microseconds) reaches its trade time."""

    def __init__(self, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep

    def begin(self, starts_at: int) -> int:
        """Start now: what was due before anyone listened is history."""
        return max(starts_at, self._clock())

    async def due(self, upcoming: Record, position: int) -> Due:
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
