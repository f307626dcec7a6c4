"""Retries with jittered exponential backoff. Pure functions elsewhere decide which errors are retryable."""

import time
from collections.abc import Callable, Iterator
from random import Random
from threading import Event
from typing import TypeVar

Result = TypeVar("Result")


def backoff(first: float = 0.2, largest: float = 10.0, random: Random | None = None) -> Iterator[float]:
    """Yield delays in seconds without end: random shares of steps that double from ``first`` to ``largest``.

    A delay is uniform between a tenth of the step and the step. Such jitter spreads clients that failed at the same
    time: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    random = random or Random()
    step = first
    while True:
        yield random.uniform(0.1 * step, step)
        step = min(largest, step * 2)


def call_with_retries(
    call: Callable[[], Result],
    *,
    retryable: type[Exception],
    timeout_seconds: float,
    stop: Event,
    on_retry: Callable[[Exception], object],
) -> Result:
    """Return the result of ``call``, which is called again with backoff while it raises a ``retryable`` error.

    Raises that error after ``timeout_seconds``, or as soon as ``stop`` is set. ``on_retry`` is called with each error
    that leads to another call.
    """
    deadline = time.monotonic() + timeout_seconds
    for delay in backoff(0.2, 5.0):
        try:
            return call()
        except retryable as error:
            if stop.is_set() or time.monotonic() + delay > deadline:
                raise
            on_retry(error)
        stop.wait(delay)
    raise AssertionError("backoff has no end")
