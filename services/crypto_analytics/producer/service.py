"""Runs the producer's parts side by side until it is told to stop, or one of them fails for good."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from threading import Event

from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.runtime.health import Health

_TICK_SECONDS = 0.25
_STOP_SECONDS = 0.1
_STOP_WITHIN = 8.0  # SIGTERM to exit within ten seconds, the end of the interpreter included


def seconds_left(stopped_at: float, now: Callable[[], float] = time.monotonic) -> float:
    """Return how many seconds of a stop seen at ``stopped_at`` (monotonic) are left for what is still to be done."""
    return max(0.0, stopped_at + _STOP_WITHIN - now())


async def run(
    listener: StreamListener, parts: Sequence[Coroutine[None, None, None]], *, health: Health, stop: Event
) -> float:
    """Run ``listener`` and the other ``parts`` until ``stop`` is set, then cancel them; return when (monotonic).

    Raises:
        ExceptionGroup: of what failed for good.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in (listener.run(), _tick(listener, health), *parts)]
        while not stop.is_set():
            await asyncio.sleep(_STOP_SECONDS)
        stopped_at = time.monotonic()
        for task in tasks:
            task.cancel()
    return stopped_at


async def _tick(listener: StreamListener, health: Health) -> None:
    while True:
        listener.tick()
        health.beat()
        health.ready = listener.is_ready()
        await asyncio.sleep(_TICK_SECONDS)
