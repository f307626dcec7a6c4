"""Retries with jittered exponential backoff. Whether an error is worth a retry is decided by a pure function."""

import time
from collections.abc import Callable, Iterator
from random import Random
from threading import Event
from typing import TypeVar

Result = TypeVar("Result")


def backoff(first: float = 0.2, largest: float = 10.0, random: Random | None = None) -> Iterator[float]:
    """Yield seconds to wait, without end: doubling from ``first`` to ``largest``, each with full jitter.

    Full jitter (a uniform share of the step) spreads clients that failed together the best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    chance = random or Random()
    step = first
    while True:
        yield chance.uniform(0.1 * step, step)
        step = min(largest, step * 2)


def patiently(
    call: Callable[[], Result],
    *,
    passing: type[Exception],
    seconds: float,
    stop: Event,
    tell: Callable[[Exception], object],
) -> Result:
    """Return what ``call`` returns; while it raises a ``passing`` error it is called again, with backoff.

    Ends with that error after ``seconds``, or once ``stop`` is set. ``tell`` hears each error that is not the last.
    """
    deadline = time.monotonic() + seconds
    for delay in backoff(0.2, 5.0):
        try:
            return call()
        except passing as error:
            if stop.is_set() or time.monotonic() + delay > deadline:
                raise
            tell(error)
        stop.wait(delay)
    raise AssertionError("backoff has no end")
