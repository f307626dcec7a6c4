"""The unit of times in answers and in pushed messages: milliseconds, or microseconds on request, as at the exchange."""

import msgspec


class Unit(msgspec.Struct, frozen=True):
    """A unit of time."""

    per_second: int

    def of(self, microseconds: int) -> int:
        """Return a time in this unit."""
        return microseconds * self.per_second // 1_000_000


MILLISECOND, MICROSECOND = Unit(1_000), Unit(1_000_000)
