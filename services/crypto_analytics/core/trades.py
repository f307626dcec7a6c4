"""Trades as columns, the form in which a batch is validated, deduplicated and aggregated.

The columns are arrays of 64-bit integers: one numpy pass over an array takes a hundredth of the time of a Python loop
over objects. Each field of a valid trade fits 64 bits; sums of them may not, see :mod:`.exact_sums`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from crypto_analytics.core.bytes_column import BytesColumn
from crypto_analytics.core.minutes import LARGEST_MILLISECOND

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


class Trade(NamedTuple):
    """One trade, or one aggregated trade that covers the ids ``first_id``..``last_id``.

    ``price`` and ``quantity`` are scaled by 10^8, ``time`` is in microseconds since the epoch, ``raw`` is the JSON as
    received, without newlines. ``buyer_is_maker`` is the exchange's ``m``: true where the taker sold.
    """

    first_id: int
    last_id: int
    price: int
    quantity: int
    time: int
    buyer_is_maker: bool
    raw: bytes = b""


def to_microseconds_column(timestamps: Integers) -> Integers:
    """Return all ``timestamps`` in microseconds, as :func:`.minutes.to_microseconds` does for one."""
    return np.where(timestamps > LARGEST_MILLISECOND, timestamps, timestamps * 1000)


def _no_integers() -> Integers:
    return np.empty(0, np.int64)


@dataclass(slots=True, eq=False)
class TradeColumns:
    """Trades in order of arrival, usually of one symbol; all columns have the same length. Units as in :class:`Trade`.

    ``last_ids`` is the same array object as ``first_ids`` if no trade is aggregated. Instances made from one another
    share their arrays, which are never written to.
    """

    first_ids: Integers = field(default_factory=_no_integers)
    last_ids: Integers = field(default_factory=_no_integers)
    prices: Integers = field(default_factory=_no_integers)
    quantities: Integers = field(default_factory=_no_integers)
    times: Integers = field(default_factory=_no_integers)
    buyer_is_maker: Booleans = field(default_factory=lambda: np.empty(0, np.bool_))
    raws: BytesColumn = field(default_factory=lambda: BytesColumn.of([]))

    def __len__(self) -> int:
        return len(self.first_ids)

    @classmethod
    def of(cls, trades: Iterable[Trade]) -> Self:
        """Return ``trades`` as columns."""
        rows = list(trades)
        if not rows:
            return cls()
        *numbers, sides, raws = zip(*rows, strict=True)
        first_ids, last_ids, prices, quantities, times = (np.array(column, np.int64) for column in numbers)
        if np.array_equal(first_ids, last_ids):
            last_ids = first_ids
        return cls(first_ids, last_ids, prices, quantities, times, np.array(sides, np.bool_), BytesColumn.of(raws))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the trades of all ``parts``, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls()
        first_ids = np.concatenate([part.first_ids for part in parts])
        individual = all(part.last_ids is part.first_ids for part in parts if part)
        return cls(
            first_ids,
            first_ids if individual else np.concatenate([part.last_ids for part in parts]),
            np.concatenate([part.prices for part in parts]),
            np.concatenate([part.quantities for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.buyer_is_maker for part in parts]),
            BytesColumn.joined([part.raws for part in parts]),
        )

    def rows(self) -> list[Trade]:
        """Return the trades as a list of :class:`Trade`."""
        arrays = (self.first_ids, self.last_ids, self.prices, self.quantities, self.times, self.buyer_is_maker)
        return list(map(Trade, *(array.tolist() for array in arrays), self.raws.to_list()))

    def id_count(self) -> int:
        """Return the number of trade ids that the trades cover; an aggregated trade covers one or more."""
        return int((self.last_ids - self.first_ids).sum()) + len(self)

    def slice(self, start: int, stop: int) -> Self:
        """Return the trades at positions ``start`` to ``stop`` (exclusive)."""
        first_ids = self.first_ids[start:stop]
        return type(self)(
            first_ids,
            first_ids if self.last_ids is self.first_ids else self.last_ids[start:stop],
            self.prices[start:stop],
            self.quantities[start:stop],
            self.times[start:stop],
            self.buyer_is_maker[start:stop],
            self.raws.slice(start, stop),
        )

    def take(self, positions: Integers) -> Self:
        """Return the trades at ``positions``, in that order."""
        first_ids = self.first_ids[positions]
        return type(self)(
            first_ids,
            first_ids if self.last_ids is self.first_ids else self.last_ids[positions],
            self.prices[positions],
            self.quantities[positions],
            self.times[positions],
            self.buyer_is_maker[positions],
            self.raws.take(positions),
        )

    def by_period(self, length: int) -> Iterator[tuple[int, Self]]:
        """Yield each period of ``length`` microseconds that has trades: its start (microseconds) and its trades.

        Periods are in ascending order. If there are several, the trades of each are sorted by time; the trades of a
        single period stay in order of arrival.
        """
        if not len(self):
            return
        first, last = int(self.times.min()), int(self.times.max())
        if first // length == last // length:
            yield first - first % length, self
            return
        in_order = bool((self.times[1:] >= self.times[:-1]).all())
        ordered = self if in_order else self.take(np.argsort(self.times, kind="stable"))
        start = 0
        while start < len(ordered):
            first = int(ordered.times[start])
            opened = first - first % length
            stop = int(np.searchsorted(ordered.times, opened + length))
            yield opened, ordered.slice(start, stop)
            start = stop
