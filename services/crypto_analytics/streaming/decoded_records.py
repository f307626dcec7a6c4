"""Decode records of the trades topic into valid trades and rejected values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from crypto_analytics.binance.trade_decoder import BadTrade, DecodedBatch, Rules, decode_batch


class RejectedValue(NamedTuple):
    """A value that is not a valid trade, the error, and the record that held it (topic/partition/offset)."""

    value: bytes
    error: BadTrade
    origin: str


@dataclass(frozen=True, slots=True)
class DecodedRecords:
    """The valid trades of some records, and the values that were rejected."""

    decoded: DecodedBatch
    rejected: Sequence[RejectedValue]

    @classmethod
    def of(cls, values: Sequence[bytes], origin: Callable[[int], str], rules: Rules) -> Self:
        """Return ``values`` decoded; ``origin`` returns the record of the value at a position."""
        decoded = decode_batch(values, rules)
        return cls(decoded, [RejectedValue(values[at], error, origin(at)) for at, error in decoded.bad])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return all ``parts`` as one, in their order."""
        decoded = DecodedBatch.joined([part.decoded for part in parts])
        return cls(decoded, [rejected for part in parts for rejected in part.rejected])

    def __len__(self) -> int:
        return self.decoded.count
