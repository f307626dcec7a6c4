"""How a run shows how far it is: bars on a terminal, log lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

log = structlog.get_logger("backfill.progress_reporter")


class ProgressReporter(Protocol):
    """Shows how far the run is."""

    def begin(self, symbol: str, minutes: int) -> None:
        """Begin ``symbol``, of which ``minutes`` are to be read."""
        ...

    def advance(self, symbol: str, minutes: int) -> None:
        """Note that ``minutes`` more of ``symbol`` are known."""
        ...


class LogReporter:
    """A log line where a symbol begins; the summary at the end tells the rest."""

    def begin(self, symbol: str, minutes: int) -> None:
        """Log how much is to be read."""
        log.info("fetching", symbol=symbol, minutes=minutes)

    def advance(self, symbol: str, minutes: int) -> None:
        """Stay quiet."""


class BarReporter:
    """A bar a symbol."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, symbol: str, minutes: int) -> None:
        """Add the bar of ``symbol``."""
        self._tasks[symbol] = self._bars.add_task(symbol, total=minutes)

    def advance(self, symbol: str, minutes: int) -> None:
        """Move the bar of ``symbol``."""
        self._bars.advance(self._tasks[symbol], minutes)


@contextmanager
def progress_reporter(*, terminal: bool) -> Iterator[ProgressReporter]:
    """Yield bars on standard error where that is a ``terminal``, log lines elsewhere."""
    if not terminal:
        yield LogReporter()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        yield BarReporter(bars)
