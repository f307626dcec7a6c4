"""Closes the holes of all symbols from REST, beside the stream: the live trades of no symbol wait for a repair.

A repair goes on page by page, in the order of :mod:`.shares`. It ends with each id of its hole sent, refused (the trade
is no good), verified absent (the exchange never issued it), or put off until a later try with the reason on record.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import structlog

from crypto_analytics.binance.errors import ExchangeError, Rejected
from crypto_analytics.binance.wire import BadTrade, Rules, decode_one
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.absence import Shown, Sightings
from crypto_analytics.producer.history import History, Page
from crypto_analytics.producer.records import Absence, GapRecords, readable_ids, refused_text, retry_seconds
from crypto_analytics.producer.sequence import Ledger, TradeIds, common
from crypto_analytics.producer.shares import FairQueue, Share
from crypto_analytics.producer.sink import Sink
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock

_CONCURRENT = 4

log = structlog.get_logger("producer.repair")


@dataclass
class _Repair:
    """The repair of one hole, as far as it got."""

    hole: IdRange
    cause: str = "the exchange has no such trades, or shows none yet"
    shown: IdRanges = field(default_factory=IdRanges)  # a page of this repair showed them to be absent
    refused: dict[str, IdRanges] = field(default_factory=lambda: defaultdict(IdRanges))  # by reason
    refused_aggregates: dict[str, IdRanges] = field(default_factory=lambda: defaultdict(IdRanges))

    def settled(self) -> IdRanges:
        """Return the ids for which asking in another way adds nothing."""
        ids = IdRanges(self.shown)
        for refused in self.refused.values():
            ids.update(refused)
        return ids


class Repairer:
    """Looks at the holes every so often, fills those that did not close by themselves, puts off what it cannot fill."""

    def __init__(
        self,
        ids: Mapping[str, TradeIds],
        history: History,
        sink: Sink,
        rules: Callable[[], Rules],
        *,
        records: GapRecords | None = None,
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._ids = ids
        self._history = history
        self._sink = sink
        self._rules = rules
        self._records = records or GapRecords()
        self._now = now
        self._ledgers: dict[str, Ledger] = defaultdict(lambda: Ledger(random=random))
        self._sightings: dict[str, Sightings] = defaultdict(Sightings)
        self._seen: dict[str, IdRanges] = {}
        self._open_since: dict[str, float] = {}
        self._running: dict[str, IdRanges] = defaultdict(IdRanges)
        self._queue: FairQueue[AsyncGenerator[None]] = FairQueue()
        self._queued = asyncio.Event()

    async def run(self, delay: float) -> None:
        """Repair until cancelled; a hole is left alone for ``delay`` seconds: late trades may close it.

        Raises:
            ExceptionGroup: the sink failed.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENT):
                group.create_task(self._work())
            while True:
                self.look()
                await asyncio.sleep(delay)

    async def _work(self) -> None:
        while True:
            if await self.step():
                await asyncio.sleep(0)  # an exchange that answers at once must not keep the stream waiting
            else:
                self._queued.clear()
                await self._queued.wait()

    def look(self) -> None:
        """Queue a repair of each hole that was there at the last look too, and whose time has come."""
        seen: dict[str, IdRanges] = {}
        for symbol, ids in self._ids.items():
            self._publish_age(symbol, ids)
            self._sightings[symbol].keep(ids.holes)
            if not ids.holes:
                continue
            seen[symbol] = IdRanges(ids.holes)
            for hole in self._due(symbol, common(ids.holes, self._seen.get(symbol, IdRanges()))):
                self._running[symbol].add(*hole)
                self._queue.add(Share(symbol, hole.first, self._fill(symbol, hole)))
                self._queued.set()
        self._seen = seen

    def _due(self, symbol: str, lasting: IdRanges) -> IdRanges:
        now = self._now()
        due = self._ledgers[symbol].due(lasting, now)
        for others in (self._running[symbol], self._records.held(symbol, now)):
            for ids in others:
                due.remove(*ids)
        return due

    def _publish_age(self, symbol: str, ids: TradeIds) -> None:
        now = self._now()
        if ids.holes:
            metrics.GAP_OPEN_SECONDS.labels(symbol).set(now - self._open_since.setdefault(symbol, now))
        elif self._open_since.pop(symbol, None) is not None:
            metrics.GAP_OPEN_SECONDS.labels(symbol).set(0)

    async def step(self) -> bool:
        """Take one page of the repair whose turn it is; return False where no repair waits."""
        share = self._queue.take()
        if share is None:
            return False
        with suppress(StopAsyncIteration):
            await anext(share.work)
            self._queue.add(share)
            self._queued.set()
        return True

    async def _fill(self, symbol: str, hole: IdRange) -> AsyncGenerator[None]:
        """Fill ``hole`` as far as the exchange allows, yielding after each page, and put off the rest."""
        repair = _Repair(hole)
        if not self._ledgers[symbol].was_tried(hole):
            metrics.GAPS_FOUND.inc()
            log.info("gap_found", symbol=symbol, first=hole.first, last=hole.last, ids=_size(hole))
        try:
            async for _ in self._pages(symbol, repair):
                yield
            for reason, refused in repair.refused_aggregates.items():  # no individual trades came in their place
                repair.refused[reason].update(refused)
        except ExchangeError as error:
            repair.cause = str(error)
        self._running[symbol].remove(*hole)
        self._conclude(symbol, repair)

    async def _pages(self, symbol: str, repair: _Repair) -> AsyncGenerator[None]:
        """Try one method after the other on what is still open, yielding between two pages.

        Raises:
            ExchangeError: the exchange does not answer, which no other method mends.
        """
        asked = False
        for method in self._history.methods(repair.hole):
            individual, served = method != self._history.aggregated, True
            for part in self._open(symbol, repair):
                if not served:
                    break  # this host does not answer this way of asking; the next one may work
                async with aclosing(method(symbol, part)) as pages:
                    while self._open(symbol, repair).overlaps(*part):
                        if asked:
                            yield
                        asked = True
                        try:
                            page = await anext(pages, None)
                        except Rejected as error:
                            repair.cause, served = str(error), False
                            break
                        if page is None:
                            break
                        await self._send(symbol, page, repair, individual=individual)
                        self._note_absent(symbol, page.absent, repair)

    async def _send(self, symbol: str, page: Page, repair: _Repair, *, individual: bool) -> None:
        """Send a page as it comes, so that what was fetched counts even where the next page fails."""
        received_at = wall_clock()
        for value in page.values:
            try:
                _, trade = decode_one(value, self._rules())
            except BadTrade as why:
                await self._reject(value, why, received_at, repair, individual=individual)
                continue
            await self._sink.send(symbol, trade, received_at, "rest")
            self._ids[symbol].observe(trade.first_id, trade.last_id)
            metrics.TRADES_REPAIRED.inc(trade.last_id - trade.first_id + 1)

    async def _reject(
        self, value: bytes, why: BadTrade, received_at: int, repair: _Repair, *, individual: bool
    ) -> None:
        """Dead-letter ``value`` unless its ids were before; the trades of a refused aggregate may be good ones."""
        named = readable_ids(value)
        if named is None or self._records.letter_once(*named):
            await self._sink.reject(value, why, received_at, "rest")
        if named is not None:
            refused = repair.refused if individual else repair.refused_aggregates
            refused[why.reason].add(*named[1])

    def _note_absent(self, symbol: str, absent: list[Shown], repair: _Repair) -> None:
        """Take over what a page shows of any hole of ``symbol``; ids shown so for the second time are verified."""
        if not absent:
            return
        holes, sightings, now = self._ids[symbol].holes, self._sightings[symbol], self._now()
        for shown in absent:
            for part in common(IdRanges([shown.ids]), holes):
                repair.shown.add(*part)
                for verified in sightings.show(part, now):
                    self._verify(symbol, verified, shown)

    def _verify(self, symbol: str, ids: IdRange, shown: Shown) -> None:
        answer = f"{shown.answer}, at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._records.verify_absent(Absence(symbol, ids, shown.method, answer))
        self._ids[symbol].holes.remove(*ids)
        metrics.IDS_VERIFIED_ABSENT.inc(_size(ids))
        log.info("ids_verified_absent", symbol=symbol, first=ids.first, last=ids.last, ids=_size(ids), answer=answer)

    def _open(self, symbol: str, repair: _Repair) -> IdRanges:
        """Return the ids of the repair's hole that are still open and not settled."""
        left = common(IdRanges([repair.hole]), self._ids[symbol].holes)
        for ids in repair.settled():
            left.remove(*ids)
        return left

    def _conclude(self, symbol: str, repair: _Repair) -> None:
        """Account for every id of the repair's hole that is still open."""
        left = common(IdRanges([repair.hole]), self._ids[symbol].holes)
        if not left and not common(IdRanges([repair.hole]), self._records.absent(symbol)):
            metrics.GAPS_REPAIRED.inc()
            log.info("gap_repaired", symbol=symbol, first=repair.hole.first, last=repair.hole.last)
        for reason, refused in repair.refused.items():
            for part in common(left, refused):
                self._hold(symbol, part, reason)
                left.remove(*part)
        for part in common(left, repair.shown):
            self._put_off(symbol, part, "the exchange shows the ids around it and not these: asked once more")
            left.remove(*part)
        for part in left:
            self._put_off(symbol, part, repair.cause)

    def _hold(self, symbol: str, part: IdRange, reason: str) -> None:
        wait = retry_seconds(reason)
        self._records.hold_refused(symbol, part, self._now() + wait)
        self._records.explain(symbol, part, refused_text(reason))
        metrics.IDS_REFUSED.inc(_size(part))
        log.warning(
            "gap_refused",
            symbol=symbol,
            first=part.first,
            last=part.last,
            ids=_size(part),
            cause=reason,
            retry_seconds=wait,
            next="look at the dead-letter topic; the gap stays open",
        )

    def _put_off(self, symbol: str, part: IdRange, cause: str) -> None:
        wait = self._ledgers[symbol].defer(part, self._now())
        self._records.explain(symbol, part, cause)
        log.warning(
            "gap_not_repaired",
            symbol=symbol,
            first=part.first,
            last=part.last,
            ids=_size(part),
            cause=cause,
            retry_seconds=round(wait, 1),
            next="nothing, if the exchange is back by then; else see the cause",
        )


def _size(hole: IdRange) -> int:
    return hole.last - hole.first + 1
