"""Columns of byte strings as offsets into shared buffers: no Python object and no copy per value."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Self

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

NEWLINE = b"\n"


class BytesColumn:
    """An immutable column of byte strings that contain no newline.

    Each value is a slice of one of ``buffers`` and is followed there by a newline. ``starts`` and ``stops`` are byte
    offsets into the concatenation of all buffers with one extra byte between two of them, so that a value never seems
    to continue a value of another buffer. Columns made from one another share their buffers, which are never written
    to and are kept alive as a whole.
    """

    __slots__ = ("_buffers", "_starts", "_stops")

    def __init__(self, buffers: Sequence[bytes], starts: Offsets, stops: Offsets) -> None:
        self._buffers = buffers
        self._starts = starts
        self._stops = stops

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        """Return a column of ``values``.

        Raises:
            ValueError: a value contains a newline.
        """
        buffer = NEWLINE.join([*values, b""])
        if buffer.count(NEWLINE) != len(values):
            raise ValueError("a value contains a newline")
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        stops = np.cumsum(lengths + 1) - 1
        return cls([buffer], stops - lengths, stops)

    @classmethod
    def joined(cls, columns: Sequence[Self]) -> Self:
        """Return the values of all ``columns``, one column after the other."""
        if not columns:
            return cls.of([])
        sizes = [sum(len(buffer) + 1 for buffer in column._buffers) for column in columns]
        shifted = list(zip(columns, accumulate(sizes[:-1], initial=0), strict=True))
        return cls(
            [buffer for column in columns for buffer in column._buffers],
            np.concatenate([column._starts + shift for column, shift in shifted]),
            np.concatenate([column._stops + shift for column, shift in shifted]),
        )

    def __len__(self) -> int:
        return len(self._starts)

    def slice(self, start: int, stop: int) -> Self:
        """Return the values at positions ``start`` to ``stop`` (exclusive)."""
        return type(self)(self._buffers, self._starts[start:stop], self._stops[start:stop])

    def take(self, positions: Offsets) -> Self:
        """Return the values at ``positions``, in that order."""
        return type(self)(self._buffers, self._starts[positions], self._stops[positions])

    def to_list(self) -> list[bytes]:
        """Return the values as byte strings of their own."""
        return list(map(bytes, self._views(self._starts, self._stops)))

    def to_lines(self) -> bytes:
        """Return all values, each followed by a newline. Values that are adjacent in a buffer are copied in one go."""
        breaks = np.flatnonzero(self._starts[1:] != self._stops[:-1] + 1)
        firsts = np.concatenate((self._starts[:1], self._starts[breaks + 1]))
        lasts = np.concatenate((self._stops[breaks], self._stops[-1:]))
        return b"".join(self._views(firsts, lasts + 1))

    def _views(self, starts: Offsets, stops: Offsets) -> Iterator[memoryview]:
        """Yield a view of the bytes between each start and stop, without a copy."""
        buffer_starts = np.array(list(accumulate((len(buffer) + 1 for buffer in self._buffers[:-1]), initial=0)))
        numbers = np.searchsorted(buffer_starts, starts, side="right") - 1
        views = [memoryview(buffer) for buffer in self._buffers]
        spans = zip(
            numbers.tolist(), (starts - buffer_starts[numbers]).tolist(), (stops - starts).tolist(), strict=True
        )
        for number, start, length in spans:
            yield views[number][start : start + length]
