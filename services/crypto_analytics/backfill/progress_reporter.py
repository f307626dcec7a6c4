"""Report the progress of a run: bars on a terminal, log lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

log = structlog.get_logger("backfill.progress_reporter")


class ProgressReporter(Protocol):
    """Reports how many minutes of each symbol are done."""

    def begin(self, symbol: str, minutes: int) -> None:
        """Report that ``symbol`` begins, with ``minutes`` to request."""
        ...

    def advance(self, symbol: str, minutes: int) -> None:
        """Report that ``minutes`` more of ``symbol`` are done."""
        ...


class LogReporter:
    """Writes a log line when a symbol begins; the last log line of the run has the totals."""

    def begin(self, symbol: str, minutes: int) -> None:
        """Log the number of minutes to request."""
        log.info("symbol_started", symbol=symbol, minutes=minutes)

    def advance(self, symbol: str, minutes: int) -> None:
        """Log nothing."""


class BarReporter:
    """Draws a progress bar per symbol."""

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
    """Yield a reporter: bars on standard error if that is a ``terminal``, else log lines."""
    if not terminal:
        yield LogReporter()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        yield BarReporter(bars)
