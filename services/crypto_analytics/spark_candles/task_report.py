"""What a task tells the driver of a piece of a micro-batch: counts, a few times, and offsets; never trades."""

from collections import Counter
from typing import Self

import msgspec

from crypto_analytics.store.merge import Merged
from crypto_analytics.streaming.merger import Work


class Outcome(msgspec.Struct):
    """The counts of a :class:`Work`; ``following`` has, by partition, the offset after the last one merged.

    ``oldest`` has the time (us) of each symbol's oldest trade; ``dead_letters`` counts by reason.
    """

    records: int
    trades: int
    archived: int
    duplicates: int
    oldest: list[int]
    dead_letters: dict[str, int]
    following: dict[int, int]

    @classmethod
    def of(cls, work: Work, following: dict[int, int]) -> Self:
        """Return what to tell of ``work``."""
        merged = work.merged
        return cls(
            records=work.records,
            trades=merged.trades,
            archived=merged.archived,
            duplicates=merged.duplicates,
            oldest=[int(time) for time in merged.oldest],
            dead_letters=dict(work.dead_letters),
            following=following,
        )

    def work(self) -> Work:
        """Return the work that this tells of, as the metrics count it."""
        merged = Merged(self.trades, self.archived, self.duplicates, rejected=[], oldest=self.oldest)
        return Work(self.records, merged, Counter(self.dead_letters))

    def to_json(self) -> str:
        """Return it as text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what ``text`` says."""
        return msgspec.json.decode(text, type=cls)


def following(outcomes: list[Outcome]) -> dict[int, int]:
    """Return by partition the offset after all that ``outcomes`` tell of."""
    together: dict[int, int] = {}
    for outcome in outcomes:
        for partition, offset in outcome.following.items():
            together[partition] = max(together.get(partition, 0), offset)
    return together
