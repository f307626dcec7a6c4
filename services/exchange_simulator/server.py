"""Build the simulator from its settings and serve REST, streams and control endpoints on one port."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web

from exchange_simulator.connections import Hub
from exchange_simulator.control import Control, Health
from exchange_simulator.faults import ArmedRestFaults
from exchange_simulator.generated_market import GeneratedMarket, GeneratedPlay
from exchange_simulator.hidden_trades import HiddenTrades
from exchange_simulator.market import AggregateLookup, Market, Play
from exchange_simulator.market_history import MarketHistory
from exchange_simulator.pacing import Backpressure, FixedRate, Pace, RealTime
from exchange_simulator.playback import Playback
from exchange_simulator.recorded_market import RecordedMarket, RecordedPlay
from exchange_simulator.recordings import RecordedKlines, Recording, RecordingKind, SkippedRows, read, read_klines
from exchange_simulator.request_weights import WeightMeter
from exchange_simulator.rest import Rest
from exchange_simulator.settings import SimulatorSettings
from exchange_simulator.times import MINUTE, Clock, from_datetime, minute_of, wall_clock
from exchange_simulator.websocket import Streams

_HEALTH_SECONDS = 1.0
_SHUTDOWN_SECONDS = 3.0
_MAX_REQUEST_LINE_BYTES = 64 * 1024  # 1024 stream names


class Simulator:
    """A running simulator: :meth:`start` it, :meth:`stop` it. ``port`` is the real one once started."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        clock: Clock = wall_clock,
        now: Callable[[], float] = time.monotonic,
        ping_seconds: float = 20.0,
        pong_seconds: float = 60.0,
    ) -> None:
        """Read the recordings and prepare the market.

        Raises:
            RecordingError: a recording cannot be used.
        """
        play, market, rest_market = _play_and_markets(settings, clock)
        self.hub = Hub(AggregateLookup(market))
        hidden, rest_faults = HiddenTrades(now), ArmedRestFaults()
        self.playback = Playback(play, self.hub, _pace(settings, self.hub, clock, now), hidden, rest_faults)
        self.playback.add_faults(settings.faults())
        klines = None if settings.SIM_KLINES_FILE is None else _klines(settings, settings.SIM_KLINES_FILE)
        self.history = MarketHistory(rest_market, hidden, {klines.symbol: klines.rows} if klines else None)
        self._health = Health()
        self._rest = Rest(
            self.history,
            lambda: self.playback.clock,
            rest_faults,
            WeightMeter(now),
            enforce_weight=settings.SIM_ENFORCE_WEIGHT,
        )
        self._streams = Streams(self.hub, now, ping_seconds=ping_seconds, pong_seconds=pong_seconds)
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def start(self) -> None:
        """Listen, and wait for clients.

        Raises:
            OSError: the port is in use.
        """
        app = web.Application()
        for part in (self._rest, self._streams, Control(self.playback, self.hub, self._health)):
            app.add_routes(part.routes())
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, max_line_size=_MAX_REQUEST_LINE_BYTES
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.SIM_HOST, self._settings.SIM_PORT).start()
        self.port = int(self._runner.addresses[0][1])
        self._tasks = [asyncio.create_task(self.playback.run()), asyncio.create_task(self._beat())]
        self._health.ready = True
        structlog.get_logger("simulator").info("listening", host=self._settings.SIM_HOST, port=self.port)

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Return when ``stop`` is set; raises the errors of the playback."""
        stopping = asyncio.create_task(stop.wait())
        playback, *_ = self._tasks
        await asyncio.wait([stopping, playback], return_when=asyncio.FIRST_COMPLETED)
        if playback.done():
            playback.result()
        await stopping

    async def stop(self) -> None:
        """Close the connections and stop listening."""
        self._health.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(connection.close("simulator stops") for connection in self.hub.open_now()))
        if self._runner is not None:
            await self._runner.cleanup()

    async def _beat(self) -> None:
        while True:
            self._health.beat()
            await asyncio.sleep(_HEALTH_SECONDS)


def _play_and_markets(settings: SimulatorSettings, clock: Clock) -> tuple[Play, Market, Market]:
    """Return the play, its market, and the market that REST answers from."""
    if settings.SIM_FILE is not None:
        recording = _recording(settings, settings.SIM_FILE)
        market = RecordedMarket(recording)
        if settings.SIM_REST_FILE is None:
            return RecordedPlay(recording), market, market
        return RecordedPlay(recording), market, RecordedMarket(_recording(settings, settings.SIM_REST_FILE))
    if settings.SIM_START == "now":
        start = clock()
        end = minute_of(start) + (settings.SIM_MINUTES + 1) * MINUTE  # whole minutes after the current one
    else:
        start = from_datetime(settings.SIM_START)
        end = start + settings.SIM_MINUTES * MINUTE
    stop = end if settings.SIM_MINUTES else None
    generated = GeneratedMarket(
        settings.SYMBOLS,
        seed=settings.SIM_SEED,
        trades_per_minute=settings.SIM_TRADES_PER_MINUTE,
        first_open=start - settings.SIM_HISTORY_MINUTES * MINUTE,
        end=stop,
    )
    return GeneratedPlay(generated, start, stop, settings.SIM_TRADES_PER_MINUTE), generated, generated


def _recording(settings: SimulatorSettings, path: Path) -> Recording:
    recording = read(path, settings.SYMBOLS)
    _log_read(path, recording.kind, recording.symbols, len(recording.trades), recording.skipped)
    return recording


def _klines(settings: SimulatorSettings, path: Path) -> RecordedKlines:
    klines = read_klines(path, settings.SYMBOLS)
    _log_read(path, "klines", (klines.symbol,), len(klines.rows), klines.skipped)
    return klines


def _log_read(path: Path, kind: RecordingKind, symbols: Sequence[str], rows: int, skipped: SkippedRows) -> None:
    structlog.get_logger("simulator").info(
        "recording_read",
        file=str(path),
        kind=kind,
        symbols=list(symbols),
        rows=rows,
        void_rows=skipped.void,
        repeated_rows=skipped.repeated,
        reordered=skipped.is_reordered,
    )


def _pace(settings: SimulatorSettings, hub: Hub, clock: Clock, now: Callable[[], float]) -> Pace:
    if settings.SIM_FILE is None and settings.SIM_START == "now":
        return RealTime(clock)
    if settings.SIM_RATE:
        return FixedRate(settings.SIM_RATE, now)
    return Backpressure(hub.room)
