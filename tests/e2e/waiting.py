"""Wait for a condition until a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx
import psycopg

from tests.e2e.programs import ProgramFailed

Result = TypeVar("Result")

# The errors of a condition while a component of the platform is down; they count as "not yet".
UNREACHABLE = (psycopg.OperationalError, OSError, ProgramFailed, httpx.HTTPError)


def wait_until(condition: Callable[[], Result | None], seconds: float, what: str, every: float = 0.5) -> Result:
    """Return the first true result of ``condition``; an unreachable component counts as false.

    Raises:
        AssertionError: there was none within ``seconds``; the text has ``what`` and the last error.
    """
    deadline = time.monotonic() + seconds
    cause = ""
    while True:
        try:
            if result := condition():
                return result
            cause = ""
        except UNREACHABLE as error:
            cause = f": {type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}{cause}")
        time.sleep(every)


class Stopwatch:
    """The seconds since its creation."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds so far, rounded to a tenth."""
        return round(time.monotonic() - self._started, 1)
