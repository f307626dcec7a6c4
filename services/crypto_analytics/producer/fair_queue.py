"""Decide which repair fetches the next page, so that no repair starves another. Pure.

The symbols that have work take turns. Within a symbol, its turns rotate between three choices:

1. the newest gap among those with the fewest pages, so that a small new gap is closed at once;
2. the oldest of those, so that newer gaps never overtake it for good;
3. the repair under way that waited longest since its last page, so that large gaps progress however many small ones
   come.

So the n-th gap in a symbol's queue has its first page after at most 3n of the symbol's turns, each of m large gaps has
one page in 3m turns, and each of s symbols has one of s turns.
"""

from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

Work = TypeVar("Work")


@dataclass(eq=False)
class QueuedRepair(Generic[Work]):
    """One repair in the queue.

    Attributes:
        symbol: the symbol of its gap.
        first: the first id of its gap.
        work: the object with which the caller fetches its next page.
        pages: how many turns it has had.
        queued: its position in the order of queueing.
    """

    symbol: str
    first: int
    work: Work
    pages: int = 0
    queued: int = 0


class FairQueue(Generic[Work]):
    """The repairs that wait for their next turn."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[QueuedRepair[Work]]] = {}  # in the order of the symbols' turns
        self._turns: dict[str, int] = {}
        self._order = count()

    def add(self, repair: QueuedRepair[Work]) -> None:
        """Queue ``repair`` for its next turn."""
        repair.queued = next(self._order)
        self._waiting.setdefault(repair.symbol, []).append(repair)

    def take(self) -> QueuedRepair[Work] | None:
        """Remove and return the repair whose turn it is; None if the queue is empty."""
        if not self._waiting:
            return None
        symbol = next(iter(self._waiting))
        repairs = self._waiting.pop(symbol)
        turn = self._turns[symbol] = self._turns.get(symbol, 0) + 1
        fewest = min(repair.pages for repair in repairs)
        match turn % 3:
            case 1:
                chosen = max((repair for repair in repairs if repair.pages == fewest), key=lambda repair: repair.first)
            case 2:
                chosen = min((repair for repair in repairs if repair.pages == fewest), key=lambda repair: repair.queued)
            case _:
                chosen = min(repairs, key=lambda repair: (not repair.pages, repair.queued))
        repairs.remove(chosen)
        if repairs:
            self._waiting[symbol] = repairs  # behind the other symbols
        chosen.pages += 1
        return chosen
