"""In which order repairs are continued, a page at a time, so that none of them holds back another. Pure.

The symbols that have work take turns. Within a symbol, turns go in rotation to the newest gap of those that have had
the fewest pages, so that a small new gap is closed at once; to the oldest gap of those, so that none of them is
overtaken for ever; and to the repair under way that waited longest since its last page, so that large gaps progress
however many small ones come. So the n-th gap in a symbol's queue has its first page after at most 3n of the symbol's
turns, each of m large gaps has one page in 3m turns, and each of s symbols has one of s turns.
"""

from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

Work = TypeVar("Work")


@dataclass(eq=False)
class QueuedRepair(Generic[Work]):
    """One repair in the queue: ``first`` is its gap's first id, ``pages`` how many turns it has had."""

    symbol: str
    first: int
    work: Work
    pages: int = 0
    queued: int = 0  # position in the order of queueing


class FairQueue(Generic[Work]):
    """Repairs that wait for their next turn."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[QueuedRepair[Work]]] = {}  # in the order of the symbols' turns
        self._turns: dict[str, int] = {}
        self._order = count()

    def add(self, share: QueuedRepair[Work]) -> None:
        """Queue ``share`` for its next turn."""
        share.queued = next(self._order)
        self._waiting.setdefault(share.symbol, []).append(share)

    def take(self) -> QueuedRepair[Work] | None:
        """Remove and return the share whose turn it is, None where none waits."""
        if not self._waiting:
            return None
        symbol = next(iter(self._waiting))
        shares = self._waiting.pop(symbol)
        turn = self._turns[symbol] = self._turns.get(symbol, 0) + 1
        fewest = min(share.pages for share in shares)
        match turn % 3:
            case 1:
                chosen = max((share for share in shares if share.pages == fewest), key=lambda share: share.first)
            case 2:
                chosen = min((share for share in shares if share.pages == fewest), key=lambda share: share.queued)
            case _:
                chosen = min(shares, key=lambda share: (not share.pages, share.queued))
        shares.remove(chosen)
        if shares:
            self._waiting[symbol] = shares  # behind the other symbols
        chosen.pages += 1
        return chosen
