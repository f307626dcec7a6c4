"""A set of trade ids as disjoint, non-adjacent closed ranges: which trades have been merged, and which are missing."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike


class IdRange(NamedTuple):
    """The ids ``first``..``last``, both included."""

    first: int
    last: int


class IdRanges:
    """A mutable set of ids that keeps itself in the fewest closed ranges, in ascending order."""

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
        breaks = np.flatnonzero(starts[1:] != stops[:-1] + 1)  # between them, each range continues the one before it
        starts = np.concatenate((starts[:1], starts[breaks + 1]))
        stops = np.concatenate((stops[breaks], stops[-1:]))
        return cls(zip(starts.tolist(), stops.tolist(), strict=True))

    def add(self, first: int, last: int) -> None:
        """Add the ids ``first``..``last``.

        Raises:
            ValueError: ``first`` is greater than ``last``.
        """
        if first > last:
            raise ValueError(f"an id range cannot end before it starts: {first}..{last}")
        firsts, lasts = self._firsts, self._lasts
        start = bisect_left(lasts, first - 1)  # the first range that touches or follows
        stop = bisect_right(firsts, last + 1)  # one past the last range that touches
        if start < stop:
            first, last = min(first, firsts[start]), max(last, lasts[stop - 1])
        firsts[start:stop] = [first]
        lasts[start:stop] = [last]

    def update(self, other: "IdRanges") -> None:
        """Add all ids of ``other``."""
        for first, last in other:
            self.add(first, last)

    def remove(self, first: int, last: int) -> None:
        """Remove the ids ``first``..``last``, as far as they are in the set.

        Raises:
            ValueError: ``first`` is greater than ``last``.
        """
        if first > last:
            raise ValueError(f"an id range cannot end before it starts: {first}..{last}")
        firsts, lasts = self._firsts, self._lasts
        start, stop = bisect_left(lasts, first), bisect_right(firsts, last)  # the ranges that overlap
        if start >= stop:
            return
        left, right = (firsts[start], first - 1), (last + 1, lasts[stop - 1])
        kept = [(low, high) for low, high in (left, right) if low <= high]
        firsts[start:stop] = [low for low, _ in kept]
        lasts[start:stop] = [high for _, high in kept]

    def covers(self, first: int, last: int) -> bool:
        """Whether every id of ``first``..``last`` is in the set."""
        position = bisect_left(self._lasts, last)
        return position < len(self._firsts) and self._firsts[position] <= first

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any id of ``first``..``last`` is in the set."""
        position = bisect_left(self._lasts, first)
        return position < len(self._firsts) and self._firsts[position] <= last

    def missing(self, first: int, last: int) -> list[IdRange]:
        """Return the ids of ``first``..``last`` that are not in the set, as ranges."""
        holes: list[IdRange] = []
        cursor = first
        for position in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[position] > last:
                break
            if cursor < self._firsts[position]:
                holes.append(IdRange(cursor, self._firsts[position] - 1))
            cursor = self._lasts[position] + 1
        if cursor <= last:
            holes.append(IdRange(cursor, last))
        return holes

    def holes(self) -> list[IdRange]:
        """Return the ids between the smallest and the largest one that are not in the set."""
        return [IdRange(last + 1, first - 1) for last, first in zip(self._lasts[:-1], self._firsts[1:], strict=True)]

    def isdisjoint(self, other: "IdRanges") -> bool:
        """Whether no id is in both sets."""
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
        """Return how many ranges (not ids) the set needs."""
        return len(self._firsts)

    def __contains__(self, trade_id: int) -> bool:
        return self.covers(trade_id, trade_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdRanges) and self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"IdRanges({[tuple(r) for r in self]})"
