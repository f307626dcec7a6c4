"""Trades of one symbol, as columns: the form in which a batch is checked, deduplicated and added up.

Columns, because one pass of a C built-in over a list of integers costs a tenth of a Python loop over objects,
and the integers stay exact at any size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self


class Trade(NamedTuple):
    """One trade, or one aggregated trade that covers the ids ``first_id``..``last_id``.

    price and quantity are scaled by 10^8, time is in microseconds, raw is the value as received.
    ``buyer_is_maker`` is the exchange's ``m``: true where the taker sold.
    """

    first_id: int
    last_id: int
    price: int
    quantity: int
    time: int
    buyer_is_maker: bool
    raw: bytes = b""


@dataclass(slots=True)
class TradeColumns:
    """Trades of one symbol, in order of arrival; every list has the same length. Units as in :class:`Trade`.

    ``last_ids`` is the same list object as ``first_ids`` where all trades are individual ones.
    """

    first_ids: list[int] = field(default_factory=list)
    last_ids: list[int] = field(default_factory=list)
    prices: list[int] = field(default_factory=list)
    quantities: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    buyer_is_maker: list[bool] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.first_ids)

    @classmethod
    def of(cls, trades: Iterable[Trade]) -> Self:
        """Return ``trades`` as columns."""
        rows = list(trades)
        if not rows:
            return cls()
        columns = cls(*(list(column) for column in zip(*rows, strict=True)))
        if columns.first_ids == columns.last_ids:
            columns.last_ids = columns.first_ids
        return columns

    def rows(self) -> list[Trade]:
        """Return the trades one by one."""
        return list(
            map(
                Trade._make,
                zip(
                    self.first_ids,
                    self.last_ids,
                    self.prices,
                    self.quantities,
                    self.times,
                    self.buyer_is_maker,
                    self.raws,
                    strict=True,
                ),
            )
        )

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
            self.raws[start:stop],
        )

    def sorted_by(self, keys: Sequence[int]) -> Self:
        """Return the trades in the stable order of ``keys`` (one key a trade)."""
        order = sorted(range(len(self)), key=keys.__getitem__)
        rows = self.rows()
        return type(self).of(rows[position] for position in order)
