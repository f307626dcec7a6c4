"""Takes the stream's frames, and knows per symbol what was sent, what is missing, and what is live."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.websocket import Cause, Listener
from crypto_analytics.binance.wire import BadTrade, Rules
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.frames import SERVER_SHUTDOWN, Ignored, classify
from crypto_analytics.producer.gap_reasons import GapReasons, readable_ids
from crypto_analytics.producer.sink import Sink
from crypto_analytics.producer.symbol_statuses import SymbolSource, SymbolStatuses
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.retry import backoff

log = structlog.get_logger("producer.stream_listener")


class StreamListener(Listener):
    """Takes the stream's frames and keeps account, per symbol, of what was sent, is missing, and is live."""

    def __init__(
        self,
        symbols: Sequence[str],
        sink: Sink,
        exchange: SymbolSource,
        rules: Callable[[], Rules],
        *,
        records: GapReasons | None = None,
        catch_up_seconds: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``catch_up_seconds`` lie between two looks at how far the exchange is; 0: only when a connection opens.

        With the same looks, symbols that the exchange did not know or did not trade are asked for again.
        """
        self.ids = {symbol: TradeIds() for symbol in symbols}
        self._sink = sink
        self._statuses = SymbolStatuses(exchange)
        self._new_rules = rules
        self._records = records or GapReasons()
        self._catch_up_seconds = catch_up_seconds
        self._sleep = sleep
        self._rules = rules()
        self._connected: set[str] = set()
        self._caught_up: set[str] = set()
        self._breaks: dict[str, int] = dict.fromkeys(symbols, 0)  # connections opened or lost
        self._to_catch_up: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._frames = 0
        self._quiet: set[str] = set()  # without a trade in the last day when the exchange was last asked
        self._unlisted: set[str] = set()  # unknown to the exchange when it was last asked
        self._peers: dict[str, frozenset[str]] = {}  # the symbols of the same connection
        self._unsubscribed: set[str] = set()  # listed after their connection was opened: nothing may come over it
        self._to_replace: set[str] = set()  # symbols of connections that are to be replaced

    @property
    def rules(self) -> Rules:
        """What a good trade must satisfy now."""
        return self._rules

    def resume(self, sent: dict[str, IdRanges]) -> None:
        """Start after what earlier runs sent."""
        for symbol, ids in sent.items():
            self.ids[symbol].resume(ids)

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        """Send the trade in ``frame``, or the frame itself to the dead letters; True asks for another connection.

        That is where the server announces that it shuts down, or where a symbol of the connection was listed after it
        was opened.
        """
        self._frames += 1
        outcome = classify(frame, self._rules)
        if isinstance(outcome, tuple):
            symbol, trade = outcome
            await self._sink.send(symbol, trade, received_at, "ws")
            self.ids[symbol].observe(trade.first_id, trade.last_id)
            return bool(self._to_replace) and self._is_to_be_replaced(symbol)
        if isinstance(outcome, BadTrade):
            named = readable_ids(frame)
            if named is None or named[0] not in self.ids or self._records.mark_dead_lettered(*named):
                await self._sink.reject(frame, outcome, received_at, "ws")
            return False
        return self._ignore(outcome)

    def _ignore(self, outcome: Ignored) -> bool:
        metrics.FRAMES_IGNORED.labels(outcome.kind).inc()
        return outcome.kind == SERVER_SHUTDOWN

    def _is_to_be_replaced(self, symbol: str) -> bool:
        """Whether the connection of ``symbol`` is to be replaced; True once for each connection."""
        if symbol not in self._to_replace:
            return False
        self._to_replace -= self._peers[symbol]
        return True

    def _replace_connections_of(self, symbols: set[str]) -> None:
        """Have the connections of ``symbols`` replaced: nothing says that a stream begins with its listing."""
        for symbol in symbols & self._peers.keys():
            self._to_replace |= self._peers[symbol]

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Begin to find out what ``symbols`` missed; a hand-over overlaps, so they stay live meanwhile."""
        self._connected.update(symbols)
        self._peers.update(dict.fromkeys(symbols, frozenset(symbols)))
        self._unsubscribed.difference_update(symbols)
        self._to_replace.difference_update(symbols)
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
            running: dict[tuple[str, ...], asyncio.Task[None]] = {}
            while True:
                symbols = tuple(await self._to_catch_up.get())
                if (earlier := running.pop(symbols, None)) is not None:
                    earlier.cancel()  # its answer would be older than the newest connection
                running[symbols] = group.create_task(self._catch_up_opened(symbols))

    async def _catch_up_opened(self, symbols: Sequence[str]) -> None:
        """Catch up with ``symbols``, whose connection was opened."""
        if not self._catch_up_seconds and self._statuses.unknown:  # nothing else asks again for these
            await self._look_at_listing(symbols)
        await self.catch_up(symbols)

    async def _catch_up_regularly(self) -> None:
        """Find out what a single stream does not bring although the others of its connection go on."""
        while True:
            await self._sleep(self._catch_up_seconds)
            if connected := [symbol for symbol in self.ids if symbol in self._connected]:
                await self._look_at_listing(connected)
                await self.catch_up(connected)

    async def _look_at_listing(self, symbols: Sequence[str]) -> None:
        """Find symbols that were listed, or are traded again, since the last look."""
        try:
            listed = await self._statuses.find_listed()
            self._unsubscribed |= listed & self._peers.keys()
            self._replace_connections_of(listed)
            self._replace_connections_of(await self._statuses.find_resumed(symbols))
        except ExchangeError as error:
            log.warning("listing_check_failed", cause=str(error), next="nothing: repeated with the next catch-up")

    async def catch_up(self, symbols: Sequence[str]) -> None:
        """Ask how far the exchange is, so that trades missed at the end of a quiet symbol are known to be missing."""
        asked_at = {symbol: self._breaks[symbol] for symbol in symbols}
        for delay in backoff(1.0, 30.0):
            try:
                found = await self._statuses.ids_of_last_day(symbols)
            except ExchangeError as error:
                log.warning("catch_up_failed", cause=str(error), wait_seconds=round(delay, 3), next="see the cause")
                await self._sleep(delay)
            else:
                for symbol in symbols:
                    if symbol in found:
                        self._expect(symbol, found[symbol])
                    else:
                        self._unlisted.add(symbol)
                self._caught_up.update(symbol for symbol in self._unbroken(asked_at) if symbol in found)
                self._caught_up -= self._statuses.unknown
                return
            if not self._unbroken(asked_at):
                return  # the next connection, or the one opened meanwhile, has its own

    def _expect(self, symbol: str, day: IdRange | None) -> None:
        """Take over the ids of ``symbol`` in the last 24 hours (None: no trade).

        A symbol that had no trade when it was last asked for is missed from the first one since. So is one that was
        unknown then, if its trades begin with id 0; otherwise it is an old one that the exchange denied for a while.
        """
        if day is None:
            self._quiet.add(symbol)
            return
        if symbol in self._quiet or (symbol in self._unlisted and day.first == 0):
            self.ids[symbol].begin(day.first)
        self._quiet.discard(symbol)
        self._unlisted.discard(symbol)
        self.ids[symbol].expect(day.last)

    def _unbroken(self, asked_at: Mapping[str, int]) -> list[str]:
        """Return the symbols without a break since: for others an answer may be older than their newest break."""
        return [symbol for symbol, breaks in asked_at.items() if breaks == self._breaks[symbol]]

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        """Whether the exchange has trades that did not come; if it does not say, doubt the connection."""
        if self._unsubscribed.intersection(symbols):
            return True
        try:
            found = await self._statuses.ids_of_last_day(symbols)
        except ExchangeError as error:
            log.warning("stall_check_failed", cause=str(error), next="the stream is opened anew")
            return True
        return any(day is not None and self.ids[symbol].is_behind(day.last) for symbol, day in found.items())

    def live(self) -> set[str]:
        """Return the symbols that stream: connected, caught up, and known when their connection was opened."""
        return (self._connected & self._caught_up) - self._unsubscribed

    def is_ready(self) -> bool:
        """Whether every symbol that the exchange knows streams. Gaps do not count: their repair goes on beside it."""
        live = self.live()
        return bool(live) and live >= self.ids.keys() - self._statuses.unknown

    def tick(self) -> None:
        """Renew what depends on time and publish the counts; called several times a second."""
        self._rules = self._new_rules()
        metrics.FRAMES_RECEIVED.inc(self._frames)
        self._frames = 0
        metrics.SYMBOLS_LIVE.set(len(self.live()))
        for symbol, ids in self.ids.items():
            metrics.GAP_TRADES_OPEN.labels(symbol).set(ids.gaps.count())
