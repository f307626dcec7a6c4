"""An answer of PostgreSQL that is read again only when it is older than some seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """The result of ``load``; concurrent requests wait for one call of it."""

    def __init__(
        self, load: Callable[[], Awaitable[Value]], seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._seconds = seconds
        self._now = now
        self._lock = asyncio.Lock()
        self._value: tuple[Value, float] | None = None

    async def get(self) -> Value:
        """Return the value, at most ``seconds`` old. Raises what ``load`` raises."""
        async with self._lock:
            if self._value is None or self._now() - self._value[1] >= self._seconds:
                self._value = (await self._load(), self._now())
            return self._value[0]
