"""Closes the gaps of all symbols from REST, beside the stream: the live trades of no symbol wait for a repair.

A repair goes on page by page, in the order of :mod:`.shares`. It ends with each id of its gap sent, refused (the trade
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
from crypto_analytics.producer.absent_ids import AbsenceEvidence, AbsenceTracker
from crypto_analytics.producer.fair_queue import FairQueue, QueuedRepair
from crypto_analytics.producer.gap_reasons import GapReasons, VerifiedAbsence, readable_ids, refused_text, retry_seconds
from crypto_analytics.producer.rest_trades import RestTrades, TradePage
from crypto_analytics.producer.sink import Sink
from crypto_analytics.producer.trade_ids import RetrySchedule, TradeIds, intersection
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock

_CONCURRENT = 4

log = structlog.get_logger("producer.repair")


@dataclass
class _Repair:
    """The repair of one gap, as far as it got."""

    gap: IdRange
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
    """Looks at the gaps every so often, fills those that did not close by themselves, puts off what it cannot fill."""

    def __init__(
        self,
        ids: Mapping[str, TradeIds],
        rest_trades: RestTrades,
        sink: Sink,
        rules: Callable[[], Rules],
        *,
        records: GapReasons | None = None,
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._ids = ids
        self._rest_trades = rest_trades
        self._sink = sink
        self._rules = rules
        self._records = records or GapReasons()
        self._now = now
        self._retries: dict[str, RetrySchedule] = defaultdict(lambda: RetrySchedule(random=random))
        self._absence_trackers: dict[str, AbsenceTracker] = defaultdict(AbsenceTracker)
        self._seen: dict[str, IdRanges] = {}
        self._open_since: dict[str, float] = {}
        self._running: dict[str, IdRanges] = defaultdict(IdRanges)
        self._queue: FairQueue[AsyncGenerator[None]] = FairQueue()
        self._queued = asyncio.Event()

    async def run(self, delay: float) -> None:
        """Repair until cancelled; a gap is left alone for ``delay`` seconds: late trades may close it.

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
        """Queue a repair of each gap that was there at the last look too, and whose time has come."""
        seen: dict[str, IdRanges] = {}
        for symbol, ids in self._ids.items():
            self._publish_age(symbol, ids)
            self._absence_trackers[symbol].keep(ids.gaps)
            if not ids.gaps:
                continue
            seen[symbol] = IdRanges(ids.gaps)
            for gap in self._due(symbol, intersection(ids.gaps, self._seen.get(symbol, IdRanges()))):
                self._running[symbol].add(*gap)
                self._queue.add(QueuedRepair(symbol, gap.first, self._fill(symbol, gap)))
                self._queued.set()
        self._seen = seen

    def _due(self, symbol: str, lasting: IdRanges) -> IdRanges:
        now = self._now()
        due = self._retries[symbol].due(lasting, now)
        for others in (self._running[symbol], self._records.refused(symbol, now)):
            for ids in others:
                due.remove(*ids)
        return due

    def _publish_age(self, symbol: str, ids: TradeIds) -> None:
        now = self._now()
        if ids.gaps:
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

    async def _fill(self, symbol: str, gap: IdRange) -> AsyncGenerator[None]:
        """Fill ``gap`` as far as the exchange allows, yielding after each page, and put off the rest."""
        repair = _Repair(gap)
        if not self._retries[symbol].was_tried(gap):
            metrics.GAPS_FOUND.inc()
            log.info("gap_found", symbol=symbol, first=gap.first, last=gap.last, ids=_size(gap))
        try:
            async for _ in self._pages(symbol, repair):
                yield
            for reason, refused in repair.refused_aggregates.items():  # no individual trades came in their place
                repair.refused[reason].update(refused)
        except ExchangeError as error:
            repair.cause = str(error)
        self._running[symbol].remove(*gap)
        self._conclude(symbol, repair)

    async def _pages(self, symbol: str, repair: _Repair) -> AsyncGenerator[None]:
        """Try one method after the other on what is still open, yielding between two pages.

        Raises:
            ExchangeError: the exchange does not answer, which no other method mends.
        """
        asked = False
        for method in self._rest_trades.methods(repair.gap):
            individual, served = method != self._rest_trades.aggregated, True
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

    async def _send(self, symbol: str, page: TradePage, repair: _Repair, *, individual: bool) -> None:
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
        if named is None or self._records.mark_dead_lettered(*named):
            await self._sink.reject(value, why, received_at, "rest")
        if named is not None:
            refused = repair.refused if individual else repair.refused_aggregates
            refused[why.reason].add(*named[1])

    def _note_absent(self, symbol: str, absent: list[AbsenceEvidence], repair: _Repair) -> None:
        """Take over what a page shows of any gap of ``symbol``; ids shown so for the second time are verified."""
        if not absent:
            return
        gaps, absence_trackers, now = self._ids[symbol].gaps, self._absence_trackers[symbol], self._now()
        for shown in absent:
            for part in intersection(IdRanges([shown.ids]), gaps):
                repair.shown.add(*part)
                for verified in absence_trackers.show(part, now):
                    self._verify(symbol, verified, shown)

    def _verify(self, symbol: str, ids: IdRange, shown: AbsenceEvidence) -> None:
        answer = f"{shown.answer}, at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._records.verify_absent(VerifiedAbsence(symbol, ids, shown.method, answer))
        self._ids[symbol].gaps.remove(*ids)
        metrics.IDS_VERIFIED_ABSENT.inc(_size(ids))
        log.info("ids_verified_absent", symbol=symbol, first=ids.first, last=ids.last, ids=_size(ids), answer=answer)

    def _open(self, symbol: str, repair: _Repair) -> IdRanges:
        """Return the ids of the repair's gap that are still open and not settled."""
        left = intersection(IdRanges([repair.gap]), self._ids[symbol].gaps)
        for ids in repair.settled():
            left.remove(*ids)
        return left

    def _conclude(self, symbol: str, repair: _Repair) -> None:
        """Account for every id of the repair's gap that is still open."""
        left = intersection(IdRanges([repair.gap]), self._ids[symbol].gaps)
        if not left and not intersection(IdRanges([repair.gap]), self._records.absent(symbol)):
            metrics.GAPS_REPAIRED.inc()
            log.info("gap_repaired", symbol=symbol, first=repair.gap.first, last=repair.gap.last)
        for reason, refused in repair.refused.items():
            for part in intersection(left, refused):
                self._hold(symbol, part, reason)
                left.remove(*part)
        for part in intersection(left, repair.shown):
            self._put_off(symbol, part, "the exchange shows the ids around it and not these: asked once more")
            left.remove(*part)
        for part in left:
            self._put_off(symbol, part, repair.cause)

    def _hold(self, symbol: str, part: IdRange, reason: str) -> None:
        wait = retry_seconds(reason)
        self._records.refuse(symbol, part, self._now() + wait)
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
        wait = self._retries[symbol].defer(part, self._now())
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


def _size(gap: IdRange) -> int:
    return gap.last - gap.first + 1
