"""The endpoints with name, URL, user, password and health: as a table, as JSON, or as variables of a shell."""

import argparse
import json
import re
import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ops.common.errors import Problem
from ops.platform.endpoints import Endpoint, Installation, url
from ops.platform.health import Health, check_all

HIDDEN = "(hidden)"

Checked = Sequence[tuple[Installation, dict[str, Health]]]


def add_no_passwords(parser: argparse.ArgumentParser) -> None:
    """Add the option that hides the passwords."""
    parser.add_argument("--no-passwords", action="store_true", help="hide the passwords")


def hide_passwords(out: Console, *, requested: bool) -> bool:
    """Return whether to hide the passwords: on request, and where the output is not a terminal, as logs are kept."""
    return requested or not out.file.isatty()


def show(installed: Installation, out: Console, *, hide: bool = False, seconds: float = 0.0) -> int:
    """Check and print the endpoints of one platform; return 1 if one of them is unhealthy after ``seconds``."""
    health = check_all(installed, seconds)
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
        password = _password(installed, endpoint)
        state = health[endpoint.name]
        colour = "red" if state.problem else "green"
        secret = HIDDEN if hide and password else password
        shown.add_row(
            endpoint.name, url(endpoint, installed.ports), endpoint.user, secret, f"[{colour}]{state}[/{colour}]"
        )
    return shown


def as_json(checked: Checked, *, hide: bool = False) -> str:
    """Return the endpoints of all platforms as a JSON array; ``password`` is null if there is none or it is hidden."""
    found = [
        {
            "platform": installed.title,
            "name": endpoint.name,
            "url": url(endpoint, installed.ports),
            "user": endpoint.user or None,
            "password": None if hide else _password(installed, endpoint) or None,
            "healthy": not health[endpoint.name].problem,
            "health": str(health[endpoint.name]),
        }
        for installed, health in checked
        for endpoint in installed.endpoints
    ]
    return json.dumps(found, indent=2, ensure_ascii=False)


def as_env(checked: Checked, *, hide: bool = False) -> str:
    """Return lines ``NAME=value`` for a shell, such as SUPERSET_URL, SUPERSET_USER and SUPERSET_PASSWORD.

    Raises:
        Problem: several platforms run, whose variables have the same names.
    """
    if len(checked) > 1:
        titles = " and ".join(installed.title for installed, _ in checked)
        raise Problem("the variables would be ambiguous", f"{titles} run at the same time", "make urls FORMAT=json")
    lines = []
    for installed, _ in checked:
        for endpoint in installed.endpoints:
            name = re.sub(r"\W+", "_", endpoint.name.upper()).strip("_")
            password = "" if hide else _password(installed, endpoint)
            values = {"URL": url(endpoint, installed.ports), "USER": endpoint.user, "PASSWORD": password}
            lines += [f"{name}_{part}={shlex.quote(value)}" for part, value in values.items() if value]
    return "\n".join(lines)


def _password(installed: Installation, endpoint: Endpoint) -> str:
    return installed.passwords.get(endpoint.secret, "") if endpoint.secret else ""
