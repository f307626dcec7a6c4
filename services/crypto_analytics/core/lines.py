"""Many values as the lines of a few texts: picking, joining and writing them costs no object and no copy for each."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Self

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

NEWLINE = b"\n"


class Lines:
    """Values in an order, each somewhere in one of ``texts`` and followed by a newline there; none holds one itself.

    ``starts`` and ``stops`` tell where they are, in bytes, counted on from text to text. One more is counted between
    two texts, so that no line seems to follow one of another text. The texts are shared between the lines made of each
    other, which keep them all, and never written to.
    """

    __slots__ = ("_starts", "_stops", "_texts")

    def __init__(self, texts: Sequence[bytes], starts: Positions, stops: Positions) -> None:
        self._texts = texts
        self._starts = starts
        self._stops = stops

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        """Return ``values`` as lines. Raises ValueError where one of them holds a newline."""
        text = NEWLINE.join([*values, b""])
        if text.count(NEWLINE) != len(values):
            raise ValueError("a value holds a newline")
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths + 1) - 1
        return cls([text], stops - lengths, stops)

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Return the lines of all ``pieces``, one after the other."""
        if not pieces:
            return cls.of([])
        sizes = [sum(len(text) + 1 for text in piece._texts) for piece in pieces]
        moved = list(zip(pieces, accumulate(sizes[:-1], initial=0), strict=True))
        return cls(
            [text for piece in pieces for text in piece._texts],
            np.concatenate([piece._starts + by for piece, by in moved]),
            np.concatenate([piece._stops + by for piece, by in moved]),
        )

    def __len__(self) -> int:
        return len(self._starts)

    def slice(self, start: int, stop: int) -> Self:
        """Return the lines at positions ``start`` to ``stop`` (exclusive)."""
        return type(self)(self._texts, self._starts[start:stop], self._stops[start:stop])

    def take(self, positions: Positions) -> Self:
        """Return the lines at ``positions``, in that order."""
        return type(self)(self._texts, self._starts[positions], self._stops[positions])

    def values(self) -> list[bytes]:
        """Return the values one by one."""
        return list(map(bytes, self._cut(self._starts, self._stops)))

    def text(self) -> bytes:
        """Return all values in their order, each followed by a newline."""
        breaks = np.flatnonzero(self._starts[1:] != self._stops[:-1] + 1)  # elsewhere a line follows the one before it
        firsts = np.concatenate((self._starts[:1], self._starts[breaks + 1]))
        lasts = np.concatenate((self._stops[breaks], self._stops[-1:]))
        return b"".join(self._cut(firsts, lasts + 1))

    def _cut(self, starts: Positions, stops: Positions) -> Iterator[memoryview]:
        """Yield what is between ``starts`` and ``stops``, without a copy."""
        begins = np.array(list(accumulate((len(text) + 1 for text in self._texts[:-1]), initial=0)))
        numbers = np.searchsorted(begins, starts, side="right") - 1
        views = [memoryview(text) for text in self._texts]
        places = zip(numbers.tolist(), (starts - begins[numbers]).tolist(), (stops - starts).tolist(), strict=True)
        for number, start, length in places:
            yield views[number][start : start + length]
