"""Schedule the retries of the missing ids of one symbol. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.runtime.retry import backoff

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 900.0


@dataclass(slots=True)
class _Deferral:
    ids: IdRange
    until: float
    delays: Iterator[float]


@dataclass
class RetrySchedule:
    """The missing ids of one symbol whose repair failed, each with the time of its next retry.

    The waits double with each retry, with jitter, so that ids that the exchange does not have cost ever less.
    """

    first_retry: float = FIRST_RETRY_SECONDS
    longest_retry: float = LONGEST_RETRY_SECONDS
    random: Random | None = None
    _deferred: list[_Deferral] = field(default_factory=list)

    def due(self, gaps: IdRanges, now: float) -> IdRanges:
        """Return the ids of ``gaps`` that may be tried at ``now`` (seconds); forget ids that are in no gap any more."""
        self._deferred = [d for d in self._deferred if gaps.overlaps(*d.ids)]
        due = IdRanges(gaps)
        for deferral in self._deferred:
            if deferral.until > now:
                due.remove(*deferral.ids)
        return due

    def defer(self, ids: IdRange, now: float) -> float:
        """Schedule the next retry of ``ids`` after a failed one; return the seconds until then."""
        tried = [d for d in self._deferred if _overlap(d.ids, ids)]
        self._deferred = [d for d in self._deferred if not _overlap(d.ids, ids)]
        delays = tried[0].delays if tried else backoff(self.first_retry, self.longest_retry, self.random)
        wait = next(delays)
        self._deferred.append(_Deferral(ids, now + wait, delays))
        return wait

    def was_tried(self, ids: IdRange) -> bool:
        """Return whether a repair of any of ``ids`` failed before."""
        return any(_overlap(d.ids, ids) for d in self._deferred)


def _overlap(left: IdRange, right: IdRange) -> bool:
    return left.first <= right.last and right.first <= left.last
