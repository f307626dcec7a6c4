"""Run the producer's tasks side by side until a stop, or until one of them fails for good."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from threading import Event

from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.runtime.health import Health

_TICK_SECONDS = 0.25
_STOP_POLL_SECONDS = 0.1
_STOP_WITHIN_SECONDS = 8.0  # leaves two of the ten seconds from SIGTERM to exit for the end of the interpreter


def seconds_left(stopped_at: float, now: Callable[[], float] = time.monotonic) -> float:
    """Return how many seconds are left for flushing after a stop at ``stopped_at`` (monotonic)."""
    return max(0.0, stopped_at + _STOP_WITHIN_SECONDS - now())


async def run(
    listener: StreamListener, tasks: Sequence[Coroutine[None, None, None]], *, health: Health, stop: Event
) -> float:
    """Run ``listener`` and the other ``tasks`` until ``stop`` is set, then cancel them.

    Returns:
        The time (monotonic) at which the stop was seen.

    Raises:
        ExceptionGroup: the errors of the tasks that failed.
    """
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(task) for task in (listener.run(), _tick(listener, health), *tasks)]
        while not stop.is_set():
            await asyncio.sleep(_STOP_POLL_SECONDS)
        stopped_at = time.monotonic()
        for task in running:
            task.cancel()
    return stopped_at


async def _tick(listener: StreamListener, health: Health) -> None:
    while True:
        listener.tick()
        health.beat()
        health.ready = listener.is_ready()
        await asyncio.sleep(_TICK_SECONDS)
