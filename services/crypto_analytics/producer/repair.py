"""Closes the holes of all symbols from REST, beside the stream: the live trades of no symbol wait for a repair."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from random import Random

import structlog

from crypto_analytics.binance.errors import ExchangeError, Rejected
from crypto_analytics.binance.wire import BadTrade, Rules, decode_one
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.history import History, Page
from crypto_analytics.producer.sequence import Ledger, TradeIds, common
from crypto_analytics.producer.sink import Sink
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock

_CONCURRENT = 4

log = structlog.get_logger("producer.repair")


class Repairer:
    """Looks at the holes every so often, fills those that did not close by themselves, puts off what it cannot fill."""

    def __init__(
        self,
        ids: Mapping[str, TradeIds],
        history: History,
        sink: Sink,
        rules: Callable[[], Rules],
        *,
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._ids = ids
        self._history = history
        self._sink = sink
        self._rules = rules
        self._now = now
        self._ledgers: dict[str, Ledger] = defaultdict(lambda: Ledger(random=random))
        self._seen: dict[str, IdRanges] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def run(self, delay: float) -> None:
        """Repair until cancelled; a hole is left alone for ``delay`` seconds: late trades may close it.

        Raises:
            ExceptionGroup: the sink failed.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                for symbol, holes in self.due().items():
                    task = group.create_task(self.repair(symbol, holes))
                    self._running[symbol] = task
                    task.add_done_callback(partial(self._ended, symbol))
                await asyncio.sleep(delay)

    def _ended(self, symbol: str, task: asyncio.Task[None]) -> None:
        del self._running[symbol]

    def due(self) -> dict[str, IdRanges]:
        """Return per symbol the holes that were there at the last call too, and whose time has come."""
        due: dict[str, IdRanges] = {}
        seen: dict[str, IdRanges] = {}
        for symbol, ids in self._ids.items():
            if not ids.holes:
                continue
            seen[symbol] = IdRanges(ids.holes)
            lasting = common(ids.holes, self._seen.get(symbol, IdRanges()))
            if symbol not in self._running and (holes := self._ledgers[symbol].due(lasting, self._now())):
                due[symbol] = holes
        self._seen = seen
        return due

    async def repair(self, symbol: str, holes: IdRanges) -> None:
        """Fill ``holes`` of ``symbol`` as far as the exchange allows, and put off the rest."""
        async with self._slots:
            for hole in holes:
                fresh = not self._ledgers[symbol].was_tried(hole)
                if fresh:
                    metrics.GAPS_FOUND.inc()
                    log.info("gap_found", symbol=symbol, first=hole.first, last=hole.last, ids=_size(hole))
                cause = await self._fill(symbol, hole)
                left = self._open(symbol, hole)
                if not left:
                    metrics.GAPS_REPAIRED.inc()
                    log.info("gap_repaired", symbol=symbol, first=hole.first, last=hole.last, ids=_size(hole))
                for part in left:
                    self._put_off(symbol, part, cause)

    async def _fill(self, symbol: str, hole: IdRange) -> str:
        """Try one method after the other on what is still open of ``hole``; return what went wrong last."""
        cause = "the exchange has no such trades"
        for method in self._history.methods(hole):
            for part in self._open(symbol, hole):
                try:
                    await self._send(symbol, method(symbol, part))
                except Rejected as error:
                    cause = str(error)
                    break  # this host does not answer this way of asking; the next one may work
                except ExchangeError as error:
                    return str(error)
        return cause

    async def _send(self, symbol: str, pages: AsyncIterator[Page]) -> None:
        """Send every page as it comes, so that what was fetched counts even where the next page fails."""
        async for page in pages:
            received_at = wall_clock()
            for value in page:
                try:
                    _, trade = decode_one(value, self._rules())
                except BadTrade as why:
                    await self._sink.reject(value, why, received_at, "rest")
                    continue
                await self._sink.send(symbol, trade, received_at, "rest")
                self._ids[symbol].observe(trade.first_id, trade.last_id)
                metrics.TRADES_REPAIRED.inc(trade.last_id - trade.first_id + 1)

    def _open(self, symbol: str, hole: IdRange) -> IdRanges:
        return common(IdRanges([hole]), self._ids[symbol].holes)

    def _put_off(self, symbol: str, part: IdRange, cause: str) -> None:
        wait = self._ledgers[symbol].defer(part, self._now())
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
