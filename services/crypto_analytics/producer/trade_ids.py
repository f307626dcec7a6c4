"""Which trade ids of a symbol were sent and which are missing, and when a missing one is worth another try. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.runtime.retry import backoff

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 900.0


class TradeIds:
    """The ids of one symbol: ``next`` is the one expected (None: none seen yet), ``gaps`` are those passed over.

    The exchange numbers a symbol's trades from 0, so no number can stand for "none".
    """

    __slots__ = ("_known", "_start", "gaps", "next")

    def __init__(self) -> None:
        self.next: int | None = None
        self.gaps = IdRanges()
        self._known: int | None = None  # the newest id that the exchange reported
        self._start: int | None = None  # the first id that came, until the exchange has reported what there is

    def resume(self, sent: IdRanges) -> None:
        """Start after the ids ``sent`` by an earlier run; what is missing between them is a gap."""
        if sent.last is not None:
            self.next = sent.last + 1
            self.gaps = IdRanges(sent.holes())

    def begin(self, first: int) -> None:
        """Note that a symbol of which the exchange has reported nothing yet begins with the trade ``first``."""
        if self.next is None and self._known is None:
            self.next = first
        elif self._start is not None and first < self._start:  # the stream was faster than the answer
            self.gaps.add(first, self._start - 1)

    def observe(self, first: int, last: int) -> None:
        """Note that the trades ``first``..``last`` were sent, in whatever order they come."""
        if self.next is None:  # trades that happened after the exchange was asked are missing if they did not come
            self.next = first if self._known is None else min(first, self._known + 1)
            self._start = first if self._known is None else None
        if first > self.next:
            self.gaps.add(self.next, first - 1)
        elif first < self.next:
            self.gaps.remove(first, last)
        self.next = max(self.next, last + 1)

    def expect(self, newest: int) -> None:
        """Note that the exchange has trades up to ``newest``.

        A symbol never seen starts with its first trade, or with the first one after what was expected before.
        """
        if self.next is None and self._known is not None and self._known < newest:
            self.next = self._known + 1
        self._known = newest if self._known is None else max(self._known, newest)
        self._start = None
        if self.next is not None and newest >= self.next:
            self.gaps.add(self.next, newest)
            self.next = newest + 1

    def is_behind(self, newest: int) -> bool:
        """Whether the exchange, whose newest trade is ``newest``, has trades that were neither sent nor expected."""
        accounted = [self._known, None if self.next is None else self.next - 1]
        return all(last is None or newest > last for last in accounted)

    def reopen(self, first: int, last: int) -> None:
        """Note that ``first``..``last`` are missing after all."""
        self.gaps.add(first, last)


def intersection(left: IdRanges, right: IdRanges) -> IdRanges:
    """Return the ids that are in both sets."""
    both = IdRanges(left)
    for first, last in left:
        for missing in right.missing(first, last):
            both.remove(*missing)
    return both


@dataclass(slots=True)
class _Deferral:
    ids: IdRange
    until: float
    delays: Iterator[float]


@dataclass
class RetrySchedule:
    """The missing ids of one symbol that were tried in vain, each with the time of its next try.

    The waits double with every try, with jitter, so that ids the exchange does not have cost ever less.
    """

    first_retry: float = FIRST_RETRY_SECONDS
    longest_retry: float = LONGEST_RETRY_SECONDS
    random: Random | None = None
    _deferred: list[_Deferral] = field(default_factory=list)

    def due(self, gaps: IdRanges, now: float) -> IdRanges:
        """Return those of ``gaps`` that may be tried at ``now`` (seconds); forget what is no gap any more."""
        self._deferred = [d for d in self._deferred if not _is_closed(gaps, d.ids)]
        due = IdRanges(gaps)
        for deferral in self._deferred:
            if deferral.until > now:
                due.remove(*deferral.ids)
        return due

    def defer(self, ids: IdRange, now: float) -> float:
        """Put off ``ids`` after a try in vain; return the seconds until the next one."""
        tried = [d for d in self._deferred if _overlap(d.ids, ids)]
        self._deferred = [d for d in self._deferred if not _overlap(d.ids, ids)]
        delays = tried[0].delays if tried else backoff(self.first_retry, self.longest_retry, self.random)
        wait = next(delays)
        self._deferred.append(_Deferral(ids, now + wait, delays))
        return wait

    def was_tried(self, ids: IdRange) -> bool:
        """Whether any of ``ids`` was tried in vain before."""
        return any(_overlap(d.ids, ids) for d in self._deferred)


def _overlap(left: IdRange, right: IdRange) -> bool:
    return left.first <= right.last and right.first <= left.last


def _is_closed(gaps: IdRanges, ids: IdRange) -> bool:
    return not gaps.overlaps(*ids)
