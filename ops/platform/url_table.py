"""The table of endpoints: name, URL, user, password, health."""

import argparse

from rich.console import Console
from rich.table import Table

from ops.platform.endpoints import Installation, url
from ops.platform.health import Health, check_all

HIDDEN = "(hidden)"


def add_no_passwords(parser: argparse.ArgumentParser) -> None:
    """Add the option that hides the passwords."""
    parser.add_argument("--no-passwords", action="store_true", help="hide the passwords")


def hide_passwords(out: Console, *, requested: bool) -> bool:
    """Return whether to hide the passwords: on request, and where the output is not a terminal, as logs are kept."""
    return requested or not out.file.isatty()


def show(installed: Installation, out: Console, *, hide: bool = False) -> int:
    """Check and print the endpoints of one platform; return 1 if one of them is unhealthy."""
    health = check_all(installed)
    out.print(table(installed, health, hide=hide))
    if hide:
        out.print("passwords: make urls")
    return 1 if any(one.problem for one in health.values()) else 0


def table(installed: Installation, health: dict[str, Health], *, hide: bool = False) -> Table:
    """Return the table of one platform's endpoints."""
    shown = Table("", "URL", "user", "password", "health", title=installed.title, title_justify="left")
    for column in shown.columns:
        column.overflow = "fold"  # a truncated password is useless
    for endpoint in installed.endpoints:
        password = installed.passwords.get(endpoint.secret, "") if endpoint.secret else ""
        state = health[endpoint.name]
        colour = "red" if state.problem else "green"
        secret = HIDDEN if hide and password else password
        shown.add_row(
            endpoint.name, url(endpoint, installed.ports), endpoint.user, secret, f"[{colour}]{state}[/{colour}]"
        )
    return shown
