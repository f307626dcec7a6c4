"""A set of trade ids as disjoint, non-adjacent closed ranges; used for merged ids and for missing ones."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike


class IdRange(NamedTuple):
    """The trade ids from ``first`` to ``last``, both included."""

    first: int
    last: int


class IdRanges:
    """A mutable set of trade ids, stored as the fewest possible closed ranges in ascending order.

    Adding a range merges all ranges that it overlaps or touches into one, so two ranges are never adjacent.
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    @classmethod
    def of_columns(cls, firsts: ArrayLike, lasts: ArrayLike) -> Self:
        """Return the set of all ids ``firsts[i]``..``lasts[i]``."""
        starts, stops = np.asarray(firsts, np.int64), np.asarray(lasts, np.int64)
        breaks = np.flatnonzero(starts[1:] != stops[:-1] + 1)  # elsewhere a range continues the previous one
        starts = np.concatenate((starts[:1], starts[breaks + 1]))
        stops = np.concatenate((stops[breaks], stops[-1:]))
        return cls(zip(starts.tolist(), stops.tolist(), strict=True))

    def add(self, first: int, last: int) -> None:
        """Add the ids ``first``..``last``.

        Raises:
            ValueError: ``first`` is greater than ``last``.
        """
        if first > last:
            raise ValueError(f"the id range {first}..{last} ends before it starts")
        firsts, lasts = self._firsts, self._lasts
        start = bisect_left(lasts, first - 1)  # the first range that ends at first - 1 or later
        stop = bisect_right(firsts, last + 1)  # one past the last range that starts at last + 1 or earlier
        if start < stop:
            first, last = min(first, firsts[start]), max(last, lasts[stop - 1])
        firsts[start:stop] = [first]
        lasts[start:stop] = [last]

    def update(self, other: "IdRanges") -> None:
        """Add all ids of ``other``."""
        for first, last in other:
            self.add(first, last)

    def remove(self, first: int, last: int) -> None:
        """Remove the ids ``first``..``last``; ids that are not in the set are ignored.

        Raises:
            ValueError: ``first`` is greater than ``last``.
        """
        if first > last:
            raise ValueError(f"the id range {first}..{last} ends before it starts")
        firsts, lasts = self._firsts, self._lasts
        start, stop = bisect_left(lasts, first), bisect_right(firsts, last)  # the ranges that overlap
        if start >= stop:
            return
        left, right = (firsts[start], first - 1), (last + 1, lasts[stop - 1])
        kept = [(low, high) for low, high in (left, right) if low <= high]
        firsts[start:stop] = [low for low, _ in kept]
        lasts[start:stop] = [high for _, high in kept]

    def covers(self, first: int, last: int) -> bool:
        """Return whether every id of ``first``..``last`` is in the set."""
        position = bisect_left(self._lasts, last)
        return position < len(self._firsts) and self._firsts[position] <= first

    def overlaps(self, first: int, last: int) -> bool:
        """Return whether any id of ``first``..``last`` is in the set."""
        position = bisect_left(self._lasts, first)
        return position < len(self._firsts) and self._firsts[position] <= last

    def missing(self, first: int, last: int) -> list[IdRange]:
        """Return the ids of ``first``..``last`` that are not in the set, as ranges."""
        gaps: list[IdRange] = []
        cursor = first
        for position in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[position] > last:
                break
            if cursor < self._firsts[position]:
                gaps.append(IdRange(cursor, self._firsts[position] - 1))
            cursor = self._lasts[position] + 1
        if cursor <= last:
            gaps.append(IdRange(cursor, last))
        return gaps

    def gaps(self) -> list[IdRange]:
        """Return the ids between the smallest and the largest one that are not in the set."""
        return [IdRange(last + 1, first - 1) for last, first in zip(self._lasts[:-1], self._firsts[1:], strict=True)]

    def intersection(self, other: "IdRanges") -> "IdRanges":
        """Return the ids that are in both sets; fastest if ``self`` has fewer ranges than ``other``."""
        both = IdRanges(self)
        for first, last in self:
            for gap in other.missing(first, last):
                both.remove(*gap)
        return both

    def isdisjoint(self, other: "IdRanges") -> bool:
        """Return whether no id is in both sets."""
        return not any(self.overlaps(first, last) for first, last in other)

    @property
    def last(self) -> int | None:
        """The largest id, or None for the empty set."""
        return self._lasts[-1] if self._lasts else None

    def count(self) -> int:
        """Return how many ids are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __iter__(self) -> Iterator[IdRange]:
        return map(IdRange, self._firsts, self._lasts)

    def __len__(self) -> int:
        """Return the number of ranges, not of ids."""
        return len(self._firsts)

    def __contains__(self, trade_id: int) -> bool:
        return self.covers(trade_id, trade_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdRanges) and self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"IdRanges({[tuple(r) for r in self]})"
