"""Read a play: all clients share one position in it."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from exchange_simulator.trades import AnyTrade


class PlayReader:
    """Reads the ``parts`` of a play. A thread generates the next part meanwhile, so that the stream does not stop."""

    def __init__(self, parts: Iterator[Iterator[AnyTrade]]) -> None:
        self._parts = parts
        self._part: Iterator[AnyTrade] = iter(())
        self._first: AnyTrade | None = None
        self._upcoming: asyncio.Task[Iterator[AnyTrade] | None] | None = None

    async def peek(self) -> AnyTrade | None:
        """Return the next trade without consuming it, None at the end."""
        while self._first is None:
            self._first = next(self._part, None)
            if self._first is None:
                part = await (self._upcoming or self._next_part())
                if part is None:
                    return None
                self._part = part
                self._upcoming = asyncio.create_task(self._next_part())
        return self._first

    def take(self, count: int, latest: int | None) -> list[AnyTrade]:
        """Return up to ``count`` trades of the current part. The first one is the trade that :meth:`peek` returned.

        With ``latest``, the following ones are not later than that time. The next :meth:`peek` opens the next part.
        """
        if self._first is None:
            raise RuntimeError("call peek() before take()")
        taken = [self._first]
        self._first = None
        if latest is None:
            taken += islice(self._part, count - 1)
            return taken
        while len(taken) < count and (trade := next(self._part, None)) is not None:
            if trade.time > latest:
                self._first = trade
                break
            taken.append(trade)
        return taken

    async def _next_part(self) -> Iterator[AnyTrade] | None:
        return await asyncio.to_thread(next, self._parts, None)
