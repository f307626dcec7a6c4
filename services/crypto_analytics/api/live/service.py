"""Publishes what changed to the clients that follow it: one reader of the change feed for all of them."""

import asyncio
import time
from collections.abc import Iterable

from crypto_analytics.api import metrics, tasks
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.database import QueryTooSlow, StoreUnavailable
from crypto_analytics.api.intervals import Calendar
from crypto_analytics.api.live import messages, past_candles
from crypto_analytics.api.live.bars import DAY, HOUR, Bar, History, Span, bar_of
from crypto_analytics.api.live.changes import Changes
from crypto_analytics.api.live.clients import Client, Hub
from crypto_analytics.api.live.listener import Wake, listen
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.statuses import Statuses
from crypto_analytics.api.live.streams import EVERY_SYMBOL, Stream
from crypto_analytics.api.live.trades import TradeFeed
from crypto_analytics.core.minutes import MINUTE, SECOND
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store.candle_changes import CandleChange

POLL_SECONDS = 3.0
"""The feed looks for changes at least this often, for notifications that never arrive."""
_TICK_SECONDS = 1.0
_GRACE = 2 * SECOND  # a trade takes up to a second to its candle

Window = tuple[Stream, int]
PastCandles = dict[tuple[Calendar, int], past_candles.Candle]


class Market:
    """What is known about one symbol: its history, its newest minute, and the windows that may still change."""

    def __init__(self, symbol: str, newest: int) -> None:
        self.symbol = symbol
        self.newest = newest
        self.changed = 0.0
        self.history = History()
        self.open: dict[Window, None] = {}
        self.unpublished: dict[int, CandleChange] = {}


class Live:
    """The pushed data. :meth:`follow` and :meth:`leave` may be called at any time; :meth:`run` does all the rest."""

    def __init__(self, context: ApiContext) -> None:
        self.hub = Hub()
        self.trades = TradeFeed(context.settings, self.hub, context.log)
        self._context = context
        self._log = context.log
        self._changes = Changes(context.database)
        self._statuses = Statuses(context, self.hub)
        self._markets: dict[str, Market] = {}
        self._wake = Wake()
        self._joined: list[tuple[Client, Stream]] = []
        self._unpublished: dict[str, Market] = {}

    def follow(self, client: Client, streams: Iterable[Stream]) -> None:
        """Let a client follow streams. Of a candle stream it gets the two newest windows at once."""
        streams = list(streams)
        self.hub.follow(client, streams)
        self._joined.extend((client, stream) for stream in streams if stream.kind in ("kline", "candle", "status"))
        self._wake.event.set()
        self.trades.update()

    def leave(self, client: Client, streams: Iterable[Stream] | None = None) -> None:
        """Let a client leave streams, or all of its streams."""
        self.hub.leave(client, client.streams if streams is None else streams)
        self.trades.update()

    async def run(self) -> None:
        """Follow the change feed until cancelled."""
        parts = (
            listen(self._context.settings, self._wake, self._log),
            self._publish_changes(),
            self._statuses.run(),
            self._tick(),
        )
        running = [asyncio.create_task(part) for part in parts]
        try:
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.end(running)
        for task in ended:
            task.result()  # raises: none ends without an error

    async def _tick(self) -> None:
        polled = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if time.monotonic() - polled >= POLL_SECONDS:
                polled = time.monotonic()
                self._wake.poll()
            self._wake.event.set()

    async def _publish_changes(self) -> None:
        delays = None
        while True:
            await self._wake.event.wait()
            symbols, is_poll, arrived = self._wake.take()
            try:
                await self._step(symbols, arrived, is_poll=is_poll)
                delays = None
            except (StoreUnavailable, QueryTooSlow) as error:
                if delays is None:
                    delays = backoff(0.1, 2.0)
                    self._log.warning("changes_unreadable", cause=str(error).strip(), next="it is retried")
                self._wake.poll()  # for what this step has not read
                await asyncio.sleep(next(delays))

    async def _step(self, symbols: set[str], arrived: float, *, is_poll: bool) -> None:
        if not self._changes.has_started:
            newest_minutes = await self._changes.start()
            self._markets = {symbol.lower(): Market(symbol, newest) for symbol, newest in newest_minutes.items()}
            self._unpublished.clear()
        if is_poll:
            symbols |= await self._changes.changed_symbols()
            for symbol, hour in await self._changes.official_hours():
                if (market := self._markets.get(symbol.lower())) is not None:
                    market.history.forget(hour)
        while symbols:
            changes, symbols = await self._changes.read(symbols)
            for change in changes:
                self._take(change)
            await self._publish_all(arrived)
        await self._publish_all(arrived)  # of a step that failed
        await self._welcome(arrived)
        await self._finish_quiet()

    def _take(self, change: CandleChange) -> None:
        market = self._markets.setdefault(change.symbol.lower(), Market(change.symbol, change.open_time))
        market.history.apply(change.open_time, bar_of(change))
        market.newest = max(market.newest, change.open_time)
        market.changed = time.monotonic()
        market.unpublished[change.open_time] = change
        self._unpublished[market.symbol] = market
        if change.open_time == market.newest:
            self._statuses.changed(change.symbol, change.open_time, change.updated_at)

    async def _publish_all(self, arrived: float) -> None:
        for market in list(self._unpublished.values()):
            await self._publish(market, arrived)
            # Only now: a failed query repeats the step.
            market.unpublished.clear()
            del self._unpublished[market.symbol]

    async def _publish(self, market: Market, arrived: float) -> None:
        """Publish the changed windows of one symbol, in the order of time."""
        windows = {window: market.newest >= _end_of(window) for window in self._changed_windows(market)}
        past = await self._past_candles(market, windows)
        bars = {open_time: bar_of(change) for open_time, change in market.unpublished.items()}
        for window, is_closed in windows.items():
            stream, start = window
            bar = bars.get(start) if _calendar(stream).interval.length == MINUTE else None
            if bar is None:
                bar = await self._bar(market, start, _end_of(window))
            if bar is not None:
                self.hub.publish(self._message(market, window, bar, past, arrived, is_closed=is_closed))
            # Only now: a failed query repeats the step.
            if is_closed:
                market.open.pop(window, None)
            else:
                market.open[window] = None
        await self._publish_tickers(market, arrived)

    def _changed_windows(self, market: Market) -> list[Window]:
        """Return the followed windows with a changed minute, and those that a later minute closes."""
        windows: dict[Window, None] = {}
        for stream in self.hub.streams(market.symbol.lower()):
            if (calendar := stream.calendar) is not None:
                windows |= dict.fromkeys((stream, calendar.start_of(minute)) for minute in market.unpublished)
        followed = self.hub.streams(market.symbol.lower())
        passed = (window for window in market.open if window[0] in followed and market.newest >= _end_of(window))
        return sorted(windows | dict.fromkeys(passed), key=lambda window: window[1])

    async def _past_candles(self, market: Market, windows: Iterable[Window]) -> PastCandles:
        """Return the candles of those windows whose time is over, as REST shows them."""
        starts: dict[Calendar, set[int]] = {}
        for window in windows:
            # By the clock as well: once a window is read here, no later message of it comes from memory.
            if max(market.newest, self._context.clock()) >= _end_of(window):
                starts.setdefault(_calendar(window[0]), set()).add(window[1])
        return {
            (calendar, start): candle
            for calendar, its in starts.items()
            for start, candle in (await past_candles.read(self._context, market.symbol, calendar, its)).items()
        }

    def _message(
        self, market: Market, window: Window, bar: Bar, past: PastCandles, arrived: float, *, is_closed: bool
    ) -> Pushed:
        stream, start = window
        calendar = _calendar(stream)
        candle = past.get((calendar, start))
        if stream.kind == "candle" and candle is not None:
            payload = messages.past_candle(candle, is_closed=is_closed)
        elif stream.kind == "candle":
            payload = messages.candle(market.symbol, calendar, start, bar, is_closed=is_closed)
        else:
            shown = bar if candle is None else past_candles.numbers_of(candle, bar)
            now = self._context.clock()
            payload = messages.kline(
                market.symbol, calendar, start, shown, is_closed=is_closed, now=now, unit=stream.unit
            )
        return Pushed(stream, payload, arrived)

    async def _publish_tickers(self, market: Market, arrived: float) -> None:
        streams = (stream for symbol in (market.symbol.lower(), EVERY_SYMBOL) for stream in self.hub.streams(symbol))
        followed = [stream for stream in streams if stream.kind == "miniTicker"]
        if not followed:
            return
        end = market.newest + MINUTE
        bar = await self._bar(market, end - DAY, end)
        if bar is None:
            return
        now = self._context.clock()
        for stream in followed:
            ticker = messages.mini_ticker(market.symbol, bar, now, stream.unit)
            payload = messages.mini_tickers([ticker]) if stream.symbol == EVERY_SYMBOL else ticker
            self.hub.publish(Pushed(stream, payload, arrived))

    async def _bar(self, market: Market, start: int, end: int) -> Bar | None:
        """Return the bar of a window, up to the newest minute, after loading what is not in memory."""
        end = min(end, market.newest + MINUTE)
        while any(missing := market.history.missing(start, end)):
            for span in missing.hours:
                market.history.add_hours(span, await self._changes.hours(market.symbol, span))
            for hour in missing.minutes:
                market.history.add_minutes(hour, await self._changes.minutes(market.symbol, Span(hour, hour + HOUR)))
        return market.history.bar(start, end)

    async def _welcome(self, arrived: float) -> None:
        """Send the two newest windows to clients that are new to a stream. One message serves all of them."""
        by_stream: dict[Stream, list[Client]] = {}
        for client, stream in self._joined:
            by_stream.setdefault(stream, []).append(client)
        self._joined.clear()
        try:
            for stream in list(by_stream):
                pushed = await self._newest_windows(stream, arrived)
                for client in by_stream.pop(stream):
                    for message in pushed if stream in client.streams else ():
                        client.offer(message)
                        metrics.PUSH_MESSAGES.labels(client.transport).inc()
        finally:
            self._joined.extend((client, stream) for stream, clients in by_stream.items() for client in clients)

    async def _newest_windows(self, stream: Stream, arrived: float) -> list[Pushed]:
        market, calendar = self._markets.get(stream.symbol), stream.calendar
        if calendar is None:
            return self._statuses.newest(stream)
        if market is None:
            return []
        newest = calendar.start_of(market.newest)
        windows: list[Window] = [(stream, calendar.start_of(newest - 1)), (stream, newest)]
        past = await self._past_candles(market, windows)
        pushed = []
        for window in windows:
            bar = await self._bar(market, window[1], _end_of(window))
            is_closed = window[1] < newest or self._is_over(market, _end_of(window))
            if bar is not None:
                pushed.append(self._message(market, window, bar, past, arrived, is_closed=is_closed))
            if not is_closed:
                market.open[window] = None
        return pushed

    def _is_over(self, market: Market, end: int) -> bool:
        """Return whether a window without a later trade has ended: by the clock, and nothing changes any more."""
        is_quiet = (time.monotonic() - market.changed) * SECOND >= _GRACE
        return is_quiet and self._context.clock() >= end + _GRACE

    async def _finish_quiet(self) -> None:
        """Publish windows as closed that have ended without a later trade."""
        for market in self._markets.values():
            for window in list(market.open):
                stream, start = window
                if stream not in self.hub.streams(stream.symbol):
                    del market.open[window]
                elif (
                    self._is_over(market, _end_of(window))
                    and (bar := await self._bar(market, start, _end_of(window))) is not None
                ):
                    past = await self._past_candles(market, [window])
                    del market.open[window]
                    self.hub.publish(self._message(market, window, bar, past, time.monotonic(), is_closed=True))


def _calendar(stream: Stream) -> Calendar:
    """Return the calendar of a stream of candles."""
    assert stream.calendar is not None
    return stream.calendar


def _end_of(window: Window) -> int:
    stream, start = window
    return _calendar(stream).end_of(start)
