"""Many WebSocket clients of the API in a thread, which reconnect by themselves and remember what they received."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import websockets

from ops.common.loopback import LOOPBACK

Kline = dict[str, Any]


@dataclass
class LiveClient:
    """What one client received: the newest kline of each interval and open time, and candles that went backwards."""

    klines: dict[tuple[str, int], Kline] = field(default_factory=dict)
    backwards: list[tuple[Kline, Kline]] = field(default_factory=list)
    messages: int = 0
    connections: int = 0

    def take(self, text: str | bytes) -> None:
        """Take over a message of ``/ws``."""
        kline = json.loads(text)["k"]
        key = kline["i"], kline["t"]
        before = self.klines.get(key)
        # Candles only grow: each merge adds trades.
        if before is not None and (kline["n"] < before["n"] or float(kline["v"]) < float(before["v"])):
            self.backwards.append((before, kline))
        self.klines[key] = kline
        self.messages += 1

    async def run(self, url: str) -> None:
        """Receive until cancelled."""
        while True:
            try:
                async with websockets.connect(url, compression=None, open_timeout=20) as connection:
                    self.connections += 1
                    async for text in connection:
                        self.take(text)
            except (OSError, TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(0.1)


@contextmanager
def live_clients(port: int, streams: str, count: int) -> Iterator[list[LiveClient]]:
    """Run ``count`` clients of ``streams`` in a thread until the end of the block."""
    clients = [LiveClient() for _ in range(count)]
    url = f"ws://{LOOPBACK}:{port}/ws/{streams}"
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(client.run(url)) for client in clients]
            await ended.wait()
            for task in running:
                task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        yield clients
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
