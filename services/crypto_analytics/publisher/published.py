"""What the topic holds of each symbol, from its messages in the order of their offsets. Pure."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crypto_analytics.publisher.messages import SCHEMA_VERSION, Published

_RECENT = 16


@dataclass(slots=True)
class PublishedTail:
    """The end of a symbol's messages in one partition.

    ``revision`` is that of the last message: all changes up to it are published, because the changes of a symbol are
    published in the order of their revisions. It is 0 after a tombstone or a message of another schema version, so that
    everything is published again. ``recent`` has the candles of the last messages by their open time in microseconds.
    """

    revision: int = 0
    recent: dict[int, Published] = field(default_factory=dict)

    def add(self, open_time: int, message: Published | None) -> None:
        """Add the next message; None is a tombstone."""
        if message is None or message.schema_version != SCHEMA_VERSION:
            self.revision = 0
            self.recent.clear()
            return
        self.revision = message.revision
        self.recent.pop(open_time, None)
        self.recent[open_time] = message
        if len(self.recent) > _RECENT:
            del self.recent[next(iter(self.recent))]

    def is_ahead(self, stored: Mapping[int, Published]) -> bool:
        """Return whether the table's candles ``stored``, by open time, are older than the topic's.

        Revisions only grow. So a candle that is missing, or has a smaller revision, or another change under the same
        revision, is one of a database that was restored from a backup or created anew. One candle is not enough: the
        candle of the newest message may have been changed often since the restore.
        """
        for open_time, message in self.recent.items():
            found = stored.get(open_time)
            if found is None or found.revision < message.revision:
                return True
            if found.revision == message.revision and found.updated_at != message.updated_at:
                return True
        return False


def partitions_of_symbols(tails: Mapping[tuple[str, int], PublishedTail]) -> dict[str, int]:
    """Return the partition in which each symbol is, from its tails by symbol and partition.

    A symbol stays there when partitions are added: a subscriber reads partitions in no order, so with messages of one
    candle in two of them it could take the older one for the newer. Of several partitions it is the one with the
    newest revision.
    """
    return {symbol: number for _, symbol, number in sorted((tail.revision, *pair) for pair, tail in tails.items())}


class LiveKeys:
    """The open times of a symbol's candles in one partition whose last message is not a tombstone.

    Takes 8 bytes a message, because the topic may hold millions.
    """

    def __init__(self) -> None:
        self._messages = array("q")

    def add(self, open_time: int, *, tombstone: bool) -> None:
        """Add the next message."""
        self._messages.append(open_time * 2 + tombstone)  # about 2^52: it fits

    def open_times(self) -> list[int]:
        """Return the open times in microseconds, in increasing order."""
        newest_first = np.frombuffer(self._messages, dtype=np.int64)[::-1]
        open_times, last = np.unique(newest_first >> 1, return_index=True)
        live: list[int] = open_times[newest_first[last] & 1 == 0].tolist()
        return live
