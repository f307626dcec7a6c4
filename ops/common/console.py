"""Where the targets print: as wide as the terminal, in a log as wide as the tables need."""

from rich.console import Console

_LOG_WIDTH = 140


def console() -> Console:
    """Return the console of standard output."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_LOG_WIDTH)


def seconds(count: float) -> str:
    """Return a duration in words: 42s, 3m07s, 5h12m, 3d04h."""
    whole = int(count)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
