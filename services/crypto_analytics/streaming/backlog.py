"""What a consumer still has to merge: bookkeeping of offsets, pure but for a lock."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from crypto_analytics.core.minutes import SECOND

_NOT_KNOWN = math.nan


@dataclass(slots=True)
class Place:
    """A partition: what it holds (``low`` to ``end``, exclusive), and ``following``, the offset of the next merge.

    None where it is not known yet. ``head`` is the time (us) of the trade at the offset ``head_offset``, which was the
    next one to be merged at ``head_read_at`` (us).
    """

    following: int | None = None
    low: int = 0
    end: int | None = None
    head_offset: int | None = None
    head: int = 0
    head_read_at: int = 0

    def first(self) -> int | None:
        """Return the offset of the next record to be merged: those that retention removed cannot be."""
        return None if self.following is None else max(self.following, self.low)

    def waiting(self) -> int | None:
        """Return the records that are not merged yet."""
        first = self.first()
        return None if first is None or self.end is None else max(0, self.end - first)


def start(committed: int, low: int, end: int) -> int:
    """Return the offset at which a consumer begins: what the group has committed, or else the partition's beginning.

    It is the beginning where nothing is committed (a negative number in the client library), where retention removed
    that record, and where the topic is another one than then: ``auto.offset.reset`` is ``earliest``.
    """
    return committed if low <= committed <= end else low


class Backlog:
    """The records of the assigned partitions that are not merged yet, and how old the next one of them is.

    The consumer says which partitions it has and what it has merged; :class:`LagWatch` says what Kafka has. Each
    number is NaN where it is not known: before Kafka has answered, and while the group assigns the partitions anew.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[int, Place] | None = None
        self._answered_at: float | None = None

    def assign(self, partitions: Iterable[int]) -> None:
        """Add partitions; they may be none where the group has more members than the topic has partitions."""
        with self._lock:
            places = {} if self._places is None else self._places
            self._places = {number: Place() for number in partitions if number not in places} | places

    def revoke(self, partitions: Iterable[int]) -> None:
        """Remove partitions."""
        with self._lock:
            gone = set(partitions)
            left = {number: place for number, place in (self._places or {}).items() if number not in gone}
            self._places = left or None

    def merged(self, offsets: Mapping[int, int]) -> None:
        """Note the offsets after the last merged record, by partition; those of other consumers are passed over."""
        with self._lock:
            for number, offset in offsets.items():
                if self._places is not None and number in self._places:
                    self._places[number].following = offset

    def places(self) -> dict[int, Place]:
        """Return the assigned partitions. One that is revoked and assigned again is another place."""
        with self._lock:
            return dict(self._places or {})

    def answered(self, asked_at: float, places: Mapping[int, Place], held: Mapping[int, tuple[int, int]],
                 committed: Mapping[int, int]) -> None:  # fmt: skip
        """Note what Kafka holds (``low`` to ``end``) and, for partitions just assigned, what the group committed."""
        with self._lock:
            for number, (low, end) in held.items():
                place = places[number]
                place.low, place.end = low, end
                if place.following is None and number in committed:
                    place.following = start(committed[number], low, end)
            self._answered_at = asked_at

    def read(self, place: Place, offset: int, time_us: int, now_us: int) -> None:
        """Note the time of the trade at ``offset``, the next one to be merged in ``place``."""
        with self._lock:
            place.head_offset, place.head, place.head_read_at = offset, time_us, now_us

    def trades(self) -> float:
        """Return the records that are not merged yet."""
        with self._lock:
            if self._places is None:
                return _NOT_KNOWN
            counts = [place.waiting() for place in self._places.values()]
        return float(sum(_NOT_KNOWN if count is None else count for count in counts))

    def seconds(self, now_us: int) -> float:
        """Return the age of the oldest of the trades that are the next ones to be merged, 0 where none waits.

        Where a partition has gone on since its next trade was read, the age is what it was then.
        """
        with self._lock:
            if self._places is None:
                return _NOT_KNOWN
            ages = [self._age(place, now_us) for place in self._places.values()]
        return _NOT_KNOWN if any(map(math.isnan, ages)) else max(ages, default=0.0)

    @staticmethod
    def _age(place: Place, now_us: int) -> float:
        waiting = place.waiting()
        if waiting == 0:
            return 0.0
        if waiting is None or place.head_offset is None:
            return _NOT_KNOWN
        until = now_us if place.head_offset == place.first() else place.head_read_at
        return max(0.0, (until - place.head) / SECOND)

    def answer_age(self) -> float:
        """Return the seconds since Kafka last said what the partitions hold."""
        answered_at = self._answered_at
        return _NOT_KNOWN if answered_at is None else self._clock() - answered_at
