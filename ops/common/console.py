"""The console that the targets print to: as wide as the terminal; in a log, as wide as the tables need."""

from rich.console import Console

_LOG_WIDTH = 140


def console() -> Console:
    """Return the console of standard output."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_LOG_WIDTH)
