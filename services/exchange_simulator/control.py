"""The simulator's own endpoints: status, scripted faults, health and metrics."""

import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from exchange_simulator.connections import Hub
from exchange_simulator.faults import InvalidFaults, decode_faults
from exchange_simulator.playback import Playback
from exchange_simulator.times import to_datetime

_ALIVE_SECONDS = 60.0


class Health:
    """Liveness: the event loop ran within the last minute. Readiness: the simulator listens."""

    def __init__(self) -> None:
        self.ready = False
        self._last_beat = time.monotonic()

    def beat(self) -> None:
        """Note that the event loop runs."""
        self._last_beat = time.monotonic()

    def age(self) -> float:
        """Return the seconds since the last beat."""
        return time.monotonic() - self._last_beat

    def is_alive(self) -> bool:
        """Return whether the last beat is recent."""
        return self.age() <= _ALIVE_SECONDS


class Control:
    """``/sim/status``, ``/sim/faults``, ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(self, playback: Playback, hub: Hub, health: Health) -> None:
        self._playback = playback
        self._hub = hub
        self._health = health

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.get("/sim/status", self._status),
            web.post("/sim/faults", self._faults),
            web.get("/healthz", self._probe(self._health.is_alive)),
            web.get("/readyz", self._probe(lambda: self._health.is_alive() and self._health.ready)),
            web.get("/metrics", self._metrics),
        ]

    async def _status(self, request: web.Request) -> web.Response:
        return _json(status_of(self._playback, self._hub))

    async def _faults(self, request: web.Request) -> web.Response:
        try:
            faults = decode_faults(await request.read())
        except InvalidFaults as error:
            return _json({"error": str(error)}, status=400)
        self._playback.add_faults(faults)
        return _json({"added": len(faults), "pending": len(self._playback.pending)})

    def _probe(self, check: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            is_good = check()
            text = f"{'ok' if is_good else 'not ok'}: last progress {self._health.age():.1f} s ago\n"
            return web.Response(text=text, status=200 if is_good else 503)

        return handle

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def status_of(playback: Playback, hub: Hub) -> dict[str, object]:
    """Return the simulator's status. Its clock is in ISO 8601, trade times are in microseconds."""
    play = playback.play
    symbols: dict[str, object] = {}
    for symbol in play.symbols:
        progress = playback.progress.get(symbol)
        symbols[symbol] = {
            "first_id": progress and progress.first_id,
            "last_id": progress and progress.last_id,
            "final_id": play.final_id(symbol),
            "first_time": progress and progress.first_time,
            "last_time": progress and progress.last_time,
        }
    return {
        "state": playback.state,
        "trades_sent": playback.trades_sent,
        "trades_swallowed": playback.trades_swallowed,
        "trades_total": play.total,
        "duplicates_sent": playback.duplicates_sent,
        "frames_sent": hub.frames_sent,
        "connections": len(hub),
        "faults_pending": len(playback.pending),
        "as_of": to_datetime(playback.clock).isoformat(),
        "ends_at": None if play.ends_at is None else to_datetime(play.ends_at).isoformat(),
        "stream_type": play.stream_type,
        "symbols": symbols,
    }


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")
