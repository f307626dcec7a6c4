"""A simulator on a free loopback port, and small clients for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from exchange_simulator.server import Simulator
from exchange_simulator.settings import SimulatorSettings

SECONDS = 20.0  # no test waits longer for anything


@dataclass(frozen=True)
class Ended:
    """The end of a stream: the messages before it, and the code of the closing handshake (None: there was none)."""

    received: list[dict[str, Any]]
    code: int | None


@dataclass
class Exchange:
    """A running simulator and an HTTP client for it."""

    simulator: Simulator
    http: httpx.AsyncClient

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON that ``path`` answers with, which must be a success."""
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def api(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a REST endpoint."""
        return await self.get(f"/api/v3/{path}", **parameters)

    async def status(self) -> Any:
        """Return the status."""
        return await self.get("/sim/status")

    async def until_done(self) -> None:
        """Return at the end of the play."""
        async with asyncio.timeout(SECONDS):
            while (await self.status())["state"] != "done":
                await asyncio.sleep(0.005)

    async def fault(self, *faults: dict[str, Any]) -> Any:
        """Script faults."""
        answer = await self.http.post("/sim/faults", content=json.dumps(faults))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stream(self, path: str = "/stream?streams=btcusdt@trade", **options: Any) -> connect:
        """Return a connection to a stream, to be entered.

        Its queue has no bound: a client that leaves with a full one waits for the end of its own closing timeout.
        """
        options = {"compression": None, "open_timeout": SECONDS, "max_size": 4_000_000, "max_queue": None} | options
        return connect(f"ws://127.0.0.1:{self.simulator.port}{path}", **options)


@asynccontextmanager
async def exchange(
    *, ping_seconds: float = 20.0, pong_seconds: float = 60.0, **settings: Any
) -> AsyncIterator[Exchange]:
    """Yield a simulator that runs with ``settings``, by default one symbol and two minutes of 60 trades."""
    small: dict[str, Any] = {
        "SYMBOLS": "BTCUSDT",
        "SIM_MINUTES": 2,
        "SIM_TRADES_PER_MINUTE": 60,
        "SIM_HISTORY_MINUTES": 3,
    }
    checked = SimulatorSettings(**(small | {"SIM_PORT": 0} | settings))
    simulator = Simulator(checked, ping_seconds=ping_seconds, pong_seconds=pong_seconds)
    await simulator.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{simulator.port}", timeout=SECONDS) as http:
            yield Exchange(simulator, http)
    finally:
        await simulator.stop()


async def messages(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """Return the next ``count`` messages without their envelopes."""
    decoded = [json.loads(await socket.recv()) for _ in range(count)]
    return [message.get("data", message) for message in decoded]


async def to_the_end(socket: ClientConnection) -> Ended:
    """Return the messages received until the connection is closed."""
    received: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                received += await messages(socket, 1)
            except ConnectionClosed as closed:
                return Ended(received, None if closed.rcvd is None else closed.rcvd.code)


async def ids(socket: ClientConnection, count: int) -> list[int]:
    """Return the ids of the next ``count`` trades."""
    return [message["t"] for message in await messages(socket, count)]
