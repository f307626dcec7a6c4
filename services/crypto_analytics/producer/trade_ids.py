"""Track which trade ids of a symbol were sent, and which are missing. Pure."""

from crypto_analytics.core.id_ranges import IdRanges


class TradeIds:
    """The sent and the missing trade ids of one symbol; the exchange numbers its trades from 0.

    Attributes:
        next: the next expected id; None before the first one is known (0 is a valid id).
        gaps: the ids below ``next`` that were not sent.
    """

    __slots__ = ("_newest_reported", "_start", "gaps", "next")

    def __init__(self) -> None:
        self.next: int | None = None
        self.gaps = IdRanges()
        self._newest_reported: int | None = None  # by the exchange
        self._start: int | None = None  # the first id that came, until the exchange has reported its newest one

    def resume(self, sent: IdRanges) -> None:
        """Continue after the ids ``sent`` by an earlier run; the ids missing between them are gaps."""
        if sent.last is not None:
            self.next = sent.last + 1
            self.gaps = IdRanges(sent.gaps())

    def begin(self, first: int) -> None:
        """Expect the trades from ``first`` on, for a symbol of which the exchange had reported no trade before."""
        if self.next is None and self._newest_reported is None:
            self.next = first
        elif self._start is not None and first < self._start:  # the stream was faster than the answer
            self.gaps.add(first, self._start - 1)

    def observe(self, first: int, last: int) -> None:
        """Note that the trades ``first``..``last`` were sent; they may come in any order."""
        if self.next is None:
            # Trades newer than the exchange's last report are missing unless they came.
            self.next = first if self._newest_reported is None else min(first, self._newest_reported + 1)
            self._start = first if self._newest_reported is None else None
        if first > self.next:
            self.gaps.add(self.next, first - 1)
        elif first < self.next:
            self.gaps.remove(first, last)
        self.next = max(self.next, last + 1)

    def expect(self, newest: int) -> None:
        """Note that the exchange has trades up to ``newest``.

        A symbol without a trade so far begins with the first trade that comes, or with the one after the newest
        reported before.
        """
        if self.next is None and self._newest_reported is not None and self._newest_reported < newest:
            self.next = self._newest_reported + 1
        self._newest_reported = newest if self._newest_reported is None else max(self._newest_reported, newest)
        self._start = None
        if self.next is not None and newest >= self.next:
            self.gaps.add(self.next, newest)
            self.next = newest + 1

    def is_behind(self, newest: int) -> bool:
        """Return whether the exchange has trades up to ``newest`` that were neither sent nor expected."""
        accounted = [self._newest_reported, None if self.next is None else self.next - 1]
        return all(last is None or newest > last for last in accounted)

    def reopen(self, first: int, last: int) -> None:
        """Add ``first``..``last`` to the gaps, although they were sent once."""
        self.gaps.add(first, last)
