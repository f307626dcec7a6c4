"""What some records of the trades topic hold: good trades, and values that are none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from crypto_analytics.binance.wire import BadTrade, DecodedBatch, Rules, decode_batch


class Refused(NamedTuple):
    """A value that is no good trade, why, and the record that it came in (topic/partition/offset)."""

    value: bytes
    error: BadTrade
    origin: str


@dataclass(frozen=True, slots=True)
class Records:
    """Records as they were read: the good trades in them, and the values that were refused."""

    decoded: DecodedBatch
    refused: Sequence[Refused]

    @classmethod
    def of(cls, values: Sequence[bytes], origin: Callable[[int], str], rules: Rules) -> Self:
        """Return what ``values`` hold; ``origin`` names the record of the value at a position."""
        decoded = decode_batch(values, rules)
        return cls(decoded, [Refused(values[at], error, origin(at)) for at, error in decoded.bad])

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Return the records of all ``pieces``, one after the other."""
        decoded = DecodedBatch.joined([piece.decoded for piece in pieces])
        return cls(decoded, [refused for piece in pieces for refused in piece.refused])

    def __len__(self) -> int:
        return self.decoded.count
