"""Runs the producer's parts side by side until it is told to stop, or one of them fails for good."""

import asyncio
from collections.abc import Coroutine, Sequence
from threading import Event

from crypto_analytics.producer.feed import Feed
from crypto_analytics.runtime.health import Health

_TICK_SECONDS = 0.25
_STOP_SECONDS = 0.1


async def run(feed: Feed, parts: Sequence[Coroutine[None, None, None]], *, health: Health, stop: Event) -> None:
    """Run ``feed`` and the other ``parts`` until ``stop`` is set, then cancel them.

    Raises:
        ExceptionGroup: of what failed for good.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in (feed.run(), _tick(feed, health), *parts)]
        while not stop.is_set():
            await asyncio.sleep(_STOP_SECONDS)
        for task in tasks:
            task.cancel()


async def _tick(feed: Feed, health: Health) -> None:
    while True:
        feed.tick()
        health.beat()
        health.ready = len(feed.live()) == len(feed.ids)
        await asyncio.sleep(_TICK_SECONDS)
