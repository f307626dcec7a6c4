"""Which trade ids of a symbol were sent and which are missing, and when a missing one is worth another try. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.runtime.retry import backoff

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 900.0


class TradeIds:
    """The ids of one symbol: ``next`` is the one expected (0: none seen yet), ``holes`` are those passed over."""

    __slots__ = ("_known", "holes", "next")

    def __init__(self) -> None:
        self.next = 0
        self.holes = IdRanges()
        self._known = 0

    def resume(self, sent: IdRanges) -> None:
        """Start after the ids ``sent`` by an earlier run; what is missing between them is a hole."""
        if sent.last is not None:
            self.next = sent.last + 1
            self.holes = IdRanges(sent.holes())

    def observe(self, first: int, last: int) -> None:
        """Note that the trades ``first``..``last`` were sent, in whatever order they come."""
        if first == self.next or not self.next:
            self.next = last + 1
        elif first > self.next:
            self.holes.add(self.next, first - 1)
            self.next = last + 1
        else:
            self.holes.remove(first, last)
            self.next = max(self.next, last + 1)

    def expect(self, newest: int) -> None:
        """Note that the exchange has trades up to ``newest``.

        A symbol never seen starts with its first trade, or with the first one after what was expected before.
        """
        if not self.next and 0 < self._known < newest:
            self.next = self._known + 1
        self._known = max(self._known, newest)
        if self.next and newest >= self.next:
            self.holes.add(self.next, newest)
            self.next = newest + 1

    def is_behind(self, newest: int) -> bool:
        """Whether the exchange, whose newest trade is ``newest``, has trades that were neither sent nor expected."""
        return newest > max(self.next - 1, self._known)

    def reopen(self, first: int, last: int) -> None:
        """Note that ``first``..``last`` are missing after all."""
        self.holes.add(first, last)


def common(left: IdRanges, right: IdRanges) -> IdRanges:
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
class Ledger:
    """The missing ids of one symbol that were tried in vain, each with the time of its next try.

    The waits double with every try, with jitter, so that ids the exchange does not have cost ever less.
    """

    first_retry: float = FIRST_RETRY_SECONDS
    random: Random | None = None
    _deferred: list[_Deferral] = field(default_factory=list)

    def due(self, holes: IdRanges, now: float) -> IdRanges:
        """Return those of ``holes`` that may be tried at ``now`` (seconds); forget what is no hole any more."""
        self._deferred = [d for d in self._deferred if not _is_closed(holes, d.ids)]
        due = IdRanges(holes)
        for deferral in self._deferred:
            if deferral.until > now:
                due.remove(*deferral.ids)
        return due

    def defer(self, ids: IdRange, now: float) -> float:
        """Put off ``ids`` after a try in vain; return the seconds until the next one."""
        tried = [d for d in self._deferred if _overlap(d.ids, ids)]
        self._deferred = [d for d in self._deferred if not _overlap(d.ids, ids)]
        delays = tried[0].delays if tried else backoff(self.first_retry, LONGEST_RETRY_SECONDS, self.random)
        wait = next(delays)
        self._deferred.append(_Deferral(ids, now + wait, delays))
        return wait

    def was_tried(self, ids: IdRange) -> bool:
        """Whether any of ``ids`` was tried in vain before."""
        return any(_overlap(d.ids, ids) for d in self._deferred)


def _overlap(left: IdRange, right: IdRange) -> bool:
    return left.first <= right.last and right.first <= left.last


def _is_closed(holes: IdRanges, ids: IdRange) -> bool:
    return not holes.overlaps(*ids)
