"""Close the gaps of all symbols from REST, beside the stream: live trades never wait for a repair.

Repairs go on page by page, in the order of :mod:`.fair_queue`. At the end of a repair, each id of its gap is sent,
refused (its trade failed validation), verified absent (the exchange never issued it), or deferred to a retry with the
reason recorded.
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
from crypto_analytics.binance.trade_decoder import BadTrade, Rules, decode_one
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.absent_ids import AbsenceEvidence, AbsenceTracker
from crypto_analytics.producer.fair_queue import FairQueue, QueuedRepair
from crypto_analytics.producer.frames import readable_ids
from crypto_analytics.producer.gap_reasons import GapReasons, VerifiedAbsence, refused_text, retry_seconds
from crypto_analytics.producer.rest_trades import RestTrades, TradePage
from crypto_analytics.producer.retry_schedule import RetrySchedule
from crypto_analytics.producer.sink import Sink
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock

_CONCURRENT_REQUESTS = 4

log = structlog.get_logger("producer.repair")


@dataclass
class _RepairState:
    """The state of the repair of one gap.

    Attributes:
        gap: the missing ids when the repair began.
        cause: why ids are still missing, if they are neither refused nor absent.
        absent: the ids that a page of this repair showed to be absent.
        refused: the ids whose individual trades failed validation, by reason.
        refused_aggregates: the ids whose aggregated trades failed validation, by reason.
    """

    gap: IdRange
    cause: str = "the exchange has no such trades, or shows none yet"
    absent: IdRanges = field(default_factory=IdRanges)
    refused: dict[str, IdRanges] = field(default_factory=lambda: defaultdict(IdRanges))
    refused_aggregates: dict[str, IdRanges] = field(default_factory=lambda: defaultdict(IdRanges))

    def settled(self) -> IdRanges:
        """Return the ids for which another fetch method would return nothing new."""
        ids = IdRanges(self.absent)
        for refused in self.refused.values():
            ids.update(refused)
        return ids


class Repairer:
    """Repairs the gaps that do not close by themselves, and retries those that it cannot close."""

    def __init__(
        self,
        ids: Mapping[str, TradeIds],
        rest_trades: RestTrades,
        sink: Sink,
        rules: Callable[[], Rules],
        *,
        reasons: GapReasons | None = None,
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._ids = ids
        self._rest_trades = rest_trades
        self._sink = sink
        self._rules = rules
        self._reasons = reasons or GapReasons()
        self._now = now
        self._retries: dict[str, RetrySchedule] = defaultdict(lambda: RetrySchedule(random=random))
        self._absence_trackers: dict[str, AbsenceTracker] = defaultdict(AbsenceTracker)
        self._seen: dict[str, IdRanges] = {}  # the gaps at the last call of queue_due
        self._open_since: dict[str, float] = {}
        self._running: dict[str, IdRanges] = defaultdict(IdRanges)
        self._queue: FairQueue[AsyncGenerator[None]] = FairQueue()
        self._queued = asyncio.Event()

    async def run(self, delay: float) -> None:
        """Repair until cancelled; a repair begins ``delay`` seconds after its gap was seen: late trades may close it.

        Raises:
            ExceptionGroup: the sink failed.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENT_REQUESTS):
                group.create_task(self._work())
            while True:
                self.queue_due()
                await asyncio.sleep(delay)

    async def _work(self) -> None:
        while True:
            if await self.fetch_next_page():
                await asyncio.sleep(0)  # give the stream a turn even if the exchange answers at once
            else:
                self._queued.clear()
                await self._queued.wait()

    def queue_due(self) -> None:
        """Queue a repair of each gap that existed at the last call too and is not deferred to a later time."""
        seen: dict[str, IdRanges] = {}
        for symbol, ids in self._ids.items():
            self._publish_age(symbol, ids)
            self._absence_trackers[symbol].retain(ids.gaps)
            if not ids.gaps:
                continue
            seen[symbol] = IdRanges(ids.gaps)
            for gap in self._due(symbol, ids.gaps.intersection(self._seen.get(symbol, IdRanges()))):
                self._running[symbol].add(*gap)
                self._queue.add(QueuedRepair(symbol, gap.first, self._repair(symbol, gap)))
                self._queued.set()
        self._seen = seen

    def _due(self, symbol: str, lasting: IdRanges) -> IdRanges:
        now = self._now()
        due = self._retries[symbol].due(lasting, now)
        for others in (self._running[symbol], self._reasons.refused(symbol, now)):
            for ids in others:
                due.remove(*ids)
        return due

    def _publish_age(self, symbol: str, ids: TradeIds) -> None:
        now = self._now()
        if ids.gaps:
            metrics.GAP_OPEN_SECONDS.labels(symbol).set(now - self._open_since.setdefault(symbol, now))
        else:
            self._open_since.pop(symbol, None)
            metrics.GAP_OPEN_SECONDS.labels(symbol).set(0)

    async def fetch_next_page(self) -> bool:
        """Fetch one page of the repair whose turn it is; return False if the queue is empty."""
        queued = self._queue.take()
        if queued is None:
            return False
        with suppress(StopAsyncIteration):
            await anext(queued.work)
            self._queue.add(queued)
            self._queued.set()
        return True

    async def _repair(self, symbol: str, gap: IdRange) -> AsyncGenerator[None]:
        """Repair ``gap`` as far as possible, yielding after each page, and account for the rest."""
        repair = _RepairState(gap)
        if not self._retries[symbol].was_tried(gap):
            metrics.GAPS_FOUND.inc()
            log.info("gap_found", symbol=symbol, first=gap.first, last=gap.last, ids=_size(gap))
        try:
            async for _ in self._pages(symbol, repair):
                yield
            for reason, refused in repair.refused_aggregates.items():  # individual trades did not replace them
                repair.refused[reason].update(refused)
        except ExchangeError as error:
            repair.cause = str(error)
        self._running[symbol].remove(*gap)
        self._conclude(symbol, repair)

    async def _pages(self, symbol: str, repair: _RepairState) -> AsyncGenerator[None]:
        """Try one fetch method after the other on the ids still missing, yielding between two pages.

        Raises:
            ExchangeError: the exchange does not answer, so that no other method can work either.
        """
        requested = False
        for method in self._rest_trades.methods(repair.gap):
            individual, served = method != self._rest_trades.aggregated, True
            for part in self._open(symbol, repair):
                if not served:
                    break  # this host does not serve the endpoint; the next method may work
                async with aclosing(method(symbol, part)) as pages:
                    while self._open(symbol, repair).overlaps(*part):
                        if requested:
                            yield
                        requested = True
                        try:
                            page = await anext(pages, None)
                        except Rejected as error:
                            repair.cause, served = str(error), False
                            break
                        if page is None:
                            break
                        await self._send(symbol, page, repair, individual=individual)
                        self._note_absent(symbol, page.absent, repair)

    async def _send(self, symbol: str, page: TradePage, repair: _RepairState, *, individual: bool) -> None:
        """Send the trades of a page at once, so that they count even if the next page fails."""
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
        self, value: bytes, why: BadTrade, received_at: int, repair: _RepairState, *, individual: bool
    ) -> None:
        """Dead-letter ``value`` unless its ids were before; trades of a refused aggregate may still be valid."""
        named = readable_ids(value)
        if named is None or self._reasons.mark_dead_lettered(*named):
            await self._sink.reject(value, why, received_at, "rest")
        if named is not None:
            refused = repair.refused if individual else repair.refused_aggregates
            refused[why.reason].add(*named[1])

    def _note_absent(self, symbol: str, absent: list[AbsenceEvidence], repair: _RepairState) -> None:
        """Track the ids of any gap of ``symbol`` that a page shows to be absent, and verify them at the second time."""
        if not absent:
            return
        gaps, tracker, now = self._ids[symbol].gaps, self._absence_trackers[symbol], self._now()
        for evidence in absent:
            for part in IdRanges([evidence.ids]).intersection(gaps):
                repair.absent.add(*part)
                for verified in tracker.add(part, now):
                    self._verify(symbol, verified, evidence)

    def _verify(self, symbol: str, ids: IdRange, evidence: AbsenceEvidence) -> None:
        answer = f"{evidence.answer}, at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._reasons.verify_absent(VerifiedAbsence(symbol, ids, evidence.method, answer))
        self._ids[symbol].gaps.remove(*ids)
        metrics.IDS_VERIFIED_ABSENT.inc(_size(ids))
        log.info("ids_verified_absent", symbol=symbol, first=ids.first, last=ids.last, ids=_size(ids), answer=answer)

    def _open(self, symbol: str, repair: _RepairState) -> IdRanges:
        """Return the ids of the repair's gap that are still missing and not settled."""
        left = IdRanges([repair.gap]).intersection(self._ids[symbol].gaps)
        for ids in repair.settled():
            left.remove(*ids)
        return left

    def _conclude(self, symbol: str, repair: _RepairState) -> None:
        """Account for every id of the repair's gap that is still missing."""
        left = IdRanges([repair.gap]).intersection(self._ids[symbol].gaps)
        if not left and not self._reasons.absent(symbol).overlaps(*repair.gap):
            metrics.GAPS_REPAIRED.inc()
            log.info("gap_repaired", symbol=symbol, first=repair.gap.first, last=repair.gap.last)
        for reason, refused in repair.refused.items():
            for part in left.intersection(refused):
                self._refuse(symbol, part, reason)
                left.remove(*part)
        for part in left.intersection(repair.absent):
            self._defer(
                symbol, part, "the exchange returns the neighbouring ids but not these; requested again to verify"
            )
            left.remove(*part)
        for part in left:
            self._defer(symbol, part, repair.cause)

    def _refuse(self, symbol: str, part: IdRange, reason: str) -> None:
        wait = retry_seconds(reason)
        self._reasons.refuse(symbol, part, self._now() + wait)
        self._reasons.explain(symbol, part, refused_text(reason))
        metrics.IDS_REFUSED.inc(_size(part))
        log.warning(
            "gap_refused",
            symbol=symbol,
            first=part.first,
            last=part.last,
            ids=_size(part),
            cause=reason,
            retry_seconds=wait,
            next="read the dead-letter topic; the gap stays open",
        )

    def _defer(self, symbol: str, part: IdRange, cause: str) -> None:
        wait = self._retries[symbol].defer(part, self._now())
        self._reasons.explain(symbol, part, cause)
        log.warning(
            "gap_not_repaired",
            symbol=symbol,
            first=part.first,
            last=part.last,
            ids=_size(part),
            cause=cause,
            retry_seconds=round(wait, 1),
            next="nothing; if the retry fails too, see the cause",
        )


def _size(ids: IdRange) -> int:
    return ids.last - ids.first + 1
