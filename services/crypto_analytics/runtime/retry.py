"""Retries with jittered exponential backoff. Whether an error is worth a retry is decided by a pure function."""

from collections.abc import Iterator
from random import Random


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
