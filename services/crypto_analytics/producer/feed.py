"""Takes the stream's frames, and knows per symbol what was sent, what is missing, and what is live."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.websocket import Cause, Listener
from crypto_analytics.binance.wire import BadTrade, Rules
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.frames import SERVER_SHUTDOWN, Ignored, classify
from crypto_analytics.producer.sequence import TradeIds
from crypto_analytics.producer.sink import Sink
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.retry import backoff

log = structlog.get_logger("producer.feed")


class Progress(Protocol):
    """What is used of :class:`crypto_analytics.binance.rest.BinanceRest` here."""

    async def last_trade_ids(self, symbols: Sequence[str]) -> dict[str, int]:
        """Return how far the exchange is."""
        ...


class Feed(Listener):
    """Takes the stream's frames and keeps account, per symbol, of what was sent, is missing, and is live."""

    def __init__(
        self,
        symbols: Sequence[str],
        sink: Sink,
        exchange: Progress,
        rules: Callable[[], Rules],
        *,
        catch_up_seconds: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``catch_up_seconds`` lie between two looks at how far the exchange is; 0: only when a connection opens."""
        self.ids = {symbol: TradeIds() for symbol in symbols}
        self._sink = sink
        self._exchange = exchange
        self._new_rules = rules
        self._catch_up_seconds = catch_up_seconds
        self._sleep = sleep
        self._rules = rules()
        self._connected: set[str] = set()
        self._caught_up: set[str] = set()
        self._breaks: dict[str, int] = dict.fromkeys(symbols, 0)  # connections opened or lost
        self._to_catch_up: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._frames = 0

    @property
    def rules(self) -> Rules:
        """What a good trade must satisfy now."""
        return self._rules

    def resume(self, sent: dict[str, IdRanges]) -> None:
        """Start after what earlier runs sent."""
        for symbol, ids in sent.items():
            self.ids[symbol].resume(ids)

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        """Send the trade in ``frame``, or the frame itself to the dead letters; True where the server shuts down."""
        self._frames += 1
        outcome = classify(frame, self._rules)
        if isinstance(outcome, tuple):
            symbol, trade = outcome
            await self._sink.send(symbol, trade, received_at, "ws")
            self.ids[symbol].observe(trade.first_id, trade.last_id)
            return False
        if isinstance(outcome, BadTrade):
            await self._sink.reject(frame, outcome, received_at, "ws")
            return False
        return self._ignore(outcome)

    def _ignore(self, outcome: Ignored) -> bool:
        metrics.FRAMES_IGNORED.labels(outcome.kind).inc()
        return outcome.kind == SERVER_SHUTDOWN

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Begin to find out what ``symbols`` missed; a hand-over overlaps, so they stay live meanwhile."""
        self._connected.update(symbols)
        if cause not in ("hand_over", "server_shutdown"):
            self._caught_up.difference_update(symbols)
        self._count_break(symbols)
        self._to_catch_up.put_nowait(symbols)

    def on_disconnected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Count ``symbols`` as not live."""
        self._connected.difference_update(symbols)
        self._caught_up.difference_update(symbols)
        self._count_break(symbols)

    def _count_break(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            self._breaks[symbol] += 1

    async def run(self) -> None:
        """Catch up after every (re)connect, and every so often, until cancelled; connections do not wait for others."""
        async with asyncio.TaskGroup() as group:
            if self._catch_up_seconds:
                group.create_task(self._catch_up_regularly())
            while True:
                group.create_task(self.catch_up(await self._to_catch_up.get()))

    async def _catch_up_regularly(self) -> None:
        """Find out what a single stream does not bring although the others of its connection go on."""
        while True:
            await self._sleep(self._catch_up_seconds)
            if connected := [symbol for symbol in self.ids if symbol in self._connected]:
                await self.catch_up(connected)

    async def catch_up(self, symbols: Sequence[str]) -> None:
        """Ask how far the exchange is, so that trades missed at the end of a quiet symbol are known to be missing."""
        asked_at = {symbol: self._breaks[symbol] for symbol in symbols}
        for delay in backoff(1.0, 30.0):
            try:
                newest = await self._exchange.last_trade_ids(symbols)
            except ExchangeError as error:
                log.warning("catch_up_failed", cause=str(error), wait_seconds=round(delay, 3), next="see the cause")
                await self._sleep(delay)
            else:
                for symbol, trade_id in newest.items():
                    self.ids[symbol].expect(trade_id)
                self._caught_up.update(self._unbroken(asked_at))
                return
            if not self._unbroken(asked_at):
                return  # the next connection, or the one opened meanwhile, has its own

    def _unbroken(self, asked_at: Mapping[str, int]) -> list[str]:
        """Return the symbols without a break since: for others an answer may be older than their newest break."""
        return [symbol for symbol, breaks in asked_at.items() if breaks == self._breaks[symbol]]

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        """Whether the exchange has trades that did not come; if it does not say, doubt the connection."""
        try:
            newest = await self._exchange.last_trade_ids(symbols)
        except ExchangeError as error:
            log.warning("stall_check_failed", cause=str(error), next="the stream is opened anew")
            return True
        return any(self.ids[symbol].is_behind(trade_id) for symbol, trade_id in newest.items())

    def live(self) -> set[str]:
        """Return the symbols that are connected, caught up, and without a known hole."""
        return {symbol for symbol in self._connected & self._caught_up if not self.ids[symbol].holes}

    def tick(self) -> None:
        """Renew what depends on time and publish the counts; called several times a second."""
        self._rules = self._new_rules()
        metrics.FRAMES_RECEIVED.inc(self._frames)
        self._frames = 0
        metrics.SYMBOLS_LIVE.set(len(self.live()))
