"""Count the records that a consumer group has not merged yet, from offsets. Pure but for a lock."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from crypto_analytics.core.minutes import SECOND

_UNKNOWN = math.nan


@dataclass(slots=True)
class PartitionBacklog:
    """The offsets of one partition; None is an offset that is not known yet.

    Attributes:
        next_offset: the offset after the last merged record.
        low, end: the first offset in the partition, and the offset after the last one.
        head_offset: the offset of the next record to merge when it was last read.
        head_time: the time of the trade in that record (us).
        head_read_at: when it was read (us).
    """

    next_offset: int | None = None
    low: int = 0
    end: int | None = None
    head_offset: int | None = None
    head_time: int = 0
    head_read_at: int = 0

    def first(self) -> int | None:
        """Return the offset of the next record to merge, skipping records that retention removed."""
        return None if self.next_offset is None else max(self.next_offset, self.low)

    def waiting(self) -> int | None:
        """Return the number of records that are not merged yet."""
        first = self.first()
        return None if first is None or self.end is None else max(0, self.end - first)


def start_offset(committed: int, low: int, end: int) -> int:
    """Return the offset at which a consumer of a partition starts: the committed one, or else the first one.

    The first one is used where nothing is committed (a negative number in the client library), where retention removed
    the record, and where the topic was created again: ``auto.offset.reset`` is ``earliest``.
    """
    return committed if low <= committed <= end else low


class Backlog:
    """The number of records of the assigned partitions that are not merged yet, and the age of the next one.

    The consumer reports assigned partitions and merged offsets, :class:`LagMonitor` the offsets in Kafka. A number is
    NaN while it is not known: before Kafka's first answer, and during a rebalance.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._partitions: dict[int, PartitionBacklog] | None = None
        self._updated_at: float | None = None

    def assign(self, partitions: Iterable[int]) -> None:
        """Add partitions. There are none if the group has more members than the topic has partitions."""
        with self._lock:
            known = {} if self._partitions is None else self._partitions
            self._partitions = {number: PartitionBacklog() for number in partitions if number not in known} | known

    def revoke(self, partitions: Iterable[int]) -> None:
        """Remove partitions."""
        with self._lock:
            revoked = set(partitions)
            left = {number: known for number, known in (self._partitions or {}).items() if number not in revoked}
            self._partitions = left or None

    def merged(self, offsets: Mapping[int, int]) -> None:
        """Set the offset after the last merged record of each partition; unassigned partitions are ignored."""
        with self._lock:
            for number, offset in offsets.items():
                if self._partitions is not None and number in self._partitions:
                    self._partitions[number].next_offset = offset

    def partitions(self) -> dict[int, PartitionBacklog]:
        """Return the assigned partitions. A partition that is revoked and assigned again gets a new object."""
        with self._lock:
            return dict(self._partitions or {})

    def update(self, asked_at: float, partitions: Mapping[int, PartitionBacklog],
               watermarks: Mapping[int, tuple[int, int]], committed: Mapping[int, int]) -> None:  # fmt: skip
        """Set the watermarks (low, end) of ``partitions``, and the ``committed`` offsets of newly assigned ones."""
        with self._lock:
            for number, (low, end) in watermarks.items():
                known = partitions[number]
                known.low, known.end = low, end
                if known.next_offset is None and number in committed:
                    known.next_offset = start_offset(committed[number], low, end)
            self._updated_at = asked_at

    def set_head(self, partition: PartitionBacklog, offset: int, time_us: int, now_us: int) -> None:
        """Set the time of the trade at ``offset``, the next record to merge in ``partition``."""
        with self._lock:
            partition.head_offset, partition.head_time, partition.head_read_at = offset, time_us, now_us

    def trades(self) -> float:
        """Return the number of records that are not merged yet."""
        with self._lock:
            if self._partitions is None:
                return _UNKNOWN
            counts = [known.waiting() for known in self._partitions.values()]
        return float(sum(_UNKNOWN if count is None else count for count in counts))

    def seconds(self, now_us: int) -> float:
        """Return the age of the oldest trade that is the next one to merge in its partition, 0 without any.

        The age of a trade that was merged since it was read is its age at that time.
        """
        with self._lock:
            if self._partitions is None:
                return _UNKNOWN
            ages = [self._age(known, now_us) for known in self._partitions.values()]
        return _UNKNOWN if any(map(math.isnan, ages)) else max(ages, default=0.0)

    @staticmethod
    def _age(partition: PartitionBacklog, now_us: int) -> float:
        waiting = partition.waiting()
        if waiting == 0:
            return 0.0
        if waiting is None or partition.head_offset is None:
            return _UNKNOWN
        until = now_us if partition.head_offset == partition.first() else partition.head_read_at
        return max(0.0, (until - partition.head_time) / SECOND)

    def end_offsets_age(self) -> float:
        """Return the seconds since Kafka last returned the watermarks."""
        updated_at = self._updated_at
        return _UNKNOWN if updated_at is None else self._clock() - updated_at
