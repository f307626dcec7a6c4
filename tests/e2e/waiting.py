"""Wait for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx
import psycopg

from tests.e2e.programs import ProgramFailed

Result = TypeVar("Result")

# What a look at a platform may end in while one of its parts is down: not yet, then.
AWAY = (psycopg.OperationalError, OSError, ProgramFailed, httpx.HTTPError)


def wait_until(condition: Callable[[], Result | None], seconds: float, what: str, every: float = 0.5) -> Result:
    """Return the first result of ``condition`` that is true; a part that is away counts as false.

    Raises:
        AssertionError: there was none within ``seconds``; the text says ``what`` was waited for and the last cause.
    """
    deadline = time.monotonic() + seconds
    cause = ""
    while True:
        try:
            if result := condition():
                return result
            cause = ""
        except AWAY as error:
            cause = f": {type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}{cause}")
        time.sleep(every)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds so far, to a tenth."""
        return round(time.monotonic() - self._started, 1)
