"""Send the stream's trades, and track for each symbol which ids were sent, which are missing, and if it is live."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from crypto_analytics.binance.errors import ExchangeError
from crypto_analytics.binance.stream_connection import Cause, Listener
from crypto_analytics.binance.trade_decoder import BadTrade, Rules
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.frames import SERVER_SHUTDOWN, Ignored, classify, readable_ids
from crypto_analytics.producer.gap_reasons import GapReasons
from crypto_analytics.producer.sink import Sink
from crypto_analytics.producer.symbol_statuses import SymbolSource, SymbolStatuses
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.retry import backoff

log = structlog.get_logger("producer.stream_listener")


class StreamListener(Listener):
    """Sends the trades of the stream's frames and tracks the ids of each symbol.

    Attributes:
        ids: the sent and missing ids by symbol.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        sink: Sink,
        exchange: SymbolSource,
        rules: Callable[[], Rules],
        *,
        reasons: GapReasons | None = None,
        catch_up_seconds: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Request each symbol's newest trade every ``catch_up_seconds``; for 0 only when a connection opens.

        The same round requests the symbols that the exchange did not list or did not trade again.
        """
        self.ids = {symbol: TradeIds() for symbol in symbols}
        self._sink = sink
        self._statuses = SymbolStatuses(exchange)
        self._new_rules = rules
        self._reasons = reasons or GapReasons()
        self._catch_up_seconds = catch_up_seconds
        self._sleep = sleep
        self._rules = rules()
        self._connected: set[str] = set()
        self._caught_up: set[str] = set()
        self._breaks: dict[str, int] = dict.fromkeys(symbols, 0)  # number of connections opened or lost
        self._to_catch_up: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._frames = 0
        self._quiet: set[str] = set()  # without a trade in the last 24 hours at the last catch-up
        self._unlisted: set[str] = set()  # unknown to the exchange at the last catch-up
        self._peers: dict[str, frozenset[str]] = {}  # the symbols of the same connection
        self._unsubscribed: set[str] = set()  # listed after their connection was opened, which may not carry them
        self._to_replace: set[str] = set()  # the symbols of connections that are to be replaced

    @property
    def rules(self) -> Rules:
        """The rules that a valid trade satisfies now; the latest allowed trade time moves with the clock."""
        return self._rules

    def resume(self, sent: dict[str, IdRanges]) -> None:
        """Continue after the ids that earlier runs sent."""
        for symbol, ids in sent.items():
            self.ids[symbol].resume(ids)

    async def on_frame(self, frame: bytes, received_at: int) -> bool:
        """Send the trade in ``frame``, or the whole frame to the dead letters if it is bad.

        Returns:
            True if the connection is to be replaced: the server announced its shutdown, or a symbol of the connection
            was listed after it was opened.
        """
        self._frames += 1
        content = classify(frame, self._rules)
        if isinstance(content, tuple):
            symbol, trade = content
            await self._sink.send(symbol, trade, received_at, "ws")
            self.ids[symbol].observe(trade.first_id, trade.last_id)
            return bool(self._to_replace) and self._is_to_be_replaced(symbol)
        if isinstance(content, BadTrade):
            named = readable_ids(frame)
            if named is None or named[0] not in self.ids or self._reasons.mark_dead_lettered(*named):
                await self._sink.reject(frame, content, received_at, "ws")
            return False
        return self._ignore(content)

    def _ignore(self, event: Ignored) -> bool:
        metrics.FRAMES_IGNORED.labels(event.kind).inc()
        return event.kind == SERVER_SHUTDOWN

    def _is_to_be_replaced(self, symbol: str) -> bool:
        """Return whether the connection of ``symbol`` is to be replaced; True once for each connection."""
        if symbol not in self._to_replace:
            return False
        self._to_replace -= self._peers[symbol]
        return True

    def _replace_connections_of(self, symbols: set[str]) -> None:
        """Mark the connections of ``symbols``: the exchange does not promise that an open one carries new listings."""
        for symbol in symbols & self._peers.keys():
            self._to_replace |= self._peers[symbol]

    def on_connected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Queue a catch-up of ``symbols``; they stay live during a hand-over, whose connections overlap."""
        self._connected.update(symbols)
        self._peers.update(dict.fromkeys(symbols, frozenset(symbols)))
        self._unsubscribed.difference_update(symbols)
        self._to_replace.difference_update(symbols)
        if cause not in ("hand_over", "server_shutdown"):
            self._caught_up.difference_update(symbols)
        self._count_break(symbols)
        self._to_catch_up.put_nowait(symbols)

    def on_disconnected(self, symbols: Sequence[str], cause: Cause) -> None:
        """Mark ``symbols`` as not live."""
        self._connected.difference_update(symbols)
        self._caught_up.difference_update(symbols)
        self._count_break(symbols)

    def _count_break(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            self._breaks[symbol] += 1

    async def run(self) -> None:
        """Catch up after each (re)connect and at intervals until cancelled, each connection by itself."""
        async with asyncio.TaskGroup() as group:
            if self._catch_up_seconds:
                group.create_task(self._catch_up_regularly())
            running: dict[tuple[str, ...], asyncio.Task[None]] = {}
            while True:
                symbols = tuple(await self._to_catch_up.get())
                if (earlier := running.pop(symbols, None)) is not None:
                    earlier.cancel()  # its answer would be older than the new connection
                running[symbols] = group.create_task(self._catch_up_opened(symbols))

    async def _catch_up_opened(self, symbols: Sequence[str]) -> None:
        """Catch up with ``symbols``, whose connection was opened."""
        if not self._catch_up_seconds and self._statuses.unknown:  # no interval requests these again
            await self._check_statuses(symbols)
        await self.catch_up(symbols)

    async def _catch_up_regularly(self) -> None:
        """Catch up at intervals, for streams that stop alone while the others of their connection go on."""
        while True:
            await self._sleep(self._catch_up_seconds)
            if connected := [symbol for symbol in self.ids if symbol in self._connected]:
                await self._check_statuses(connected)
                await self.catch_up(connected)

    async def _check_statuses(self, symbols: Sequence[str]) -> None:
        """Find the symbols that were listed, or whose trading resumed, since the last check."""
        try:
            listed = await self._statuses.find_listed()
            self._unsubscribed |= listed & self._peers.keys()
            self._replace_connections_of(listed)
            self._replace_connections_of(await self._statuses.find_resumed(symbols))
        except ExchangeError as error:
            log.warning("status_check_failed", cause=str(error), next="nothing: the next catch-up repeats it")

    async def catch_up(self, symbols: Sequence[str]) -> None:
        """Request each symbol's newest trade id, so that missed trades of a quiet symbol become gaps too."""
        breaks_before = {symbol: self._breaks[symbol] for symbol in symbols}
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
                self._caught_up.update(symbol for symbol in self._unbroken(breaks_before) if symbol in found)
                self._caught_up -= self._statuses.unknown
                return
            if not self._unbroken(breaks_before):
                return  # the next connection has its own catch-up

    def _expect(self, symbol: str, day: IdRange | None) -> None:
        """Expect the trades ``day`` of ``symbol`` in the last 24 hours (None: it had no trade).

        If the symbol had no trade at the last catch-up, all trades since the first one are expected. The same holds for
        a symbol that was unknown then, if its trades begin with id 0. With a higher id it is an old symbol that the
        exchange rejected for a while.
        """
        if day is None:
            self._quiet.add(symbol)
            return
        if symbol in self._quiet or (symbol in self._unlisted and day.first == 0):
            self.ids[symbol].begin(day.first)
        self._quiet.discard(symbol)
        self._unlisted.discard(symbol)
        self.ids[symbol].expect(day.last)

    def _unbroken(self, breaks_before: Mapping[str, int]) -> list[str]:
        """Return the symbols without a break since: for the others, the answer may be older than the break."""
        return [symbol for symbol, breaks in breaks_before.items() if breaks == self._breaks[symbol]]

    async def is_behind(self, symbols: Sequence[str]) -> bool:
        """Return whether the exchange has trades that the stream did not deliver, or does not answer."""
        if self._unsubscribed.intersection(symbols):
            return True
        try:
            found = await self._statuses.ids_of_last_day(symbols)
        except ExchangeError as error:
            log.warning("stall_check_failed", cause=str(error), next="nothing: the stream is opened again")
            return True
        return any(day is not None and self.ids[symbol].is_behind(day.last) for symbol, day in found.items())

    def live(self) -> set[str]:
        """Return the live symbols: connected, caught up, and listed when their connection was opened."""
        return (self._connected & self._caught_up) - self._unsubscribed

    def is_ready(self) -> bool:
        """Return whether every symbol that the exchange lists is live; open gaps do not matter."""
        live = self.live()
        return bool(live) and live >= self.ids.keys() - self._statuses.unknown

    def tick(self) -> None:
        """Renew the rules, which depend on the time, and publish the metrics; called several times a second."""
        self._rules = self._new_rules()
        metrics.FRAMES_RECEIVED.inc(self._frames)
        self._frames = 0
        metrics.SYMBOLS_LIVE.set(len(self.live()))
        for symbol, ids in self.ids.items():
            metrics.IDS_MISSING.labels(symbol).set(ids.gaps.count())
