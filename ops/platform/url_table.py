"""The one table of what can be reached: name, URL, user, password, health."""

import argparse

from rich.console import Console
from rich.table import Table

from ops.platform.endpoints import Installation, url
from ops.platform.health import Health, check_all

HIDDEN = "(hidden)"


def add_no_passwords(parser: argparse.ArgumentParser) -> None:
    """Let the passwords be left out."""
    parser.add_argument("--no-passwords", action="store_true", help="leave the passwords out")


def hidden(out: Console, *, asked: bool) -> bool:
    """Whether a target that was not asked for the passwords leaves them out: a log or a pipe keeps what it gets."""
    return asked or not out.file.isatty()


def show(installed: Installation, out: Console, *, hide: bool = False) -> int:
    """Check and print one way; return 1 where something is not well."""
    health = check_all(installed)
    out.print(table(installed, health, hide=hide))
    if hide:
        out.print("passwords: make urls")
    return 1 if any(one.problem for one in health.values()) else 0


def table(installed: Installation, health: dict[str, Health], *, hide: bool = False) -> Table:
    """Return the table of one way of running."""
    shown = Table("", "URL", "user", "password", "health", title=installed.title, title_justify="left")
    for column in shown.columns:
        column.overflow = "fold"  # a password that is cut is of no use
    for endpoint in installed.endpoints:
        password = installed.passwords.get(endpoint.secret, "") if endpoint.secret else ""
        state = health[endpoint.name]
        colour = "red" if state.problem else "green"
        secret = HIDDEN if hide and password else password
        shown.add_row(
            endpoint.name, url(endpoint, installed.ports), endpoint.user, secret, f"[{colour}]{state}[/{colour}]"
        )
    return shown
