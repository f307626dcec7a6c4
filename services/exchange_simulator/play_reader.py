"""The one position in the play that all clients share."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from exchange_simulator.trades import Record


class Cursor:
    """Reads ``parts`` of a play; while one is read, a thread makes the next, so that the stream does not halt."""

    def __init__(self, parts: Iterator[Iterator[Record]]) -> None:
        self._parts = parts
        self._part: Iterator[Record] = iter(())
        self._first: Record | None = None
        self._upcoming: asyncio.Task[Iterator[Record] | None] | None = None

    async def peek(self) -> Record | None:
        """Return the next record without taking it, None at the end."""
        while self._first is None:
            self._first = next(self._part, None)
            if self._first is None:
                part = await (self._upcoming or self._make())
                if part is None:
                    return None
                self._part = part
                self._upcoming = asyncio.create_task(self._make())
        return self._first

    def take(self, count: int, latest: int | None) -> list[Record]:
        """Return up to ``count`` records, the one peeked at first; with ``latest`` none of a later time but that one.

        It never goes beyond a part; the next :meth:`peek` does.
        """
        if self._first is None:
            raise RuntimeError("peek before you take")
        taken = [self._first]
        self._first = None
        if latest is None:
            taken += islice(self._part, count - 1)
            return taken
        while len(taken) < count and (record := next(self._part, None)) is not None:
            if record.time > latest:
                self._first = record
                break
            taken.append(record)
        return taken

    async def _make(self) -> Iterator[Record] | None:
        return await asyncio.to_thread(next, self._parts, None)
