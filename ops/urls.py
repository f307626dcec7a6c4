"""Print the endpoints of the cluster and of Compose with URL, login and health, or open their pages."""

import argparse
import webbrowser
from dataclasses import replace

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.kubernetes.access import find
from ops.platform import make_command, url_table
from ops.platform.endpoints import Installation, url
from ops.platform.health import check_all


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the endpoints of each running platform; return 1 if one of them is unhealthy."""
    parser = argparse.ArgumentParser(prog="python -m ops urls", description=main.__doc__)
    url_table.add_no_passwords(parser)
    formats = {"json": url_table.as_json, "env": url_table.as_env}
    parser.add_argument("--format", choices=("table", *formats), default="table", help="env: lines for a shell's eval")
    chosen = parser.parse_args(arguments)
    found = _running(settings)
    if chosen.format == "table":
        return max(url_table.show(installed, console(), hide=chosen.no_passwords) for installed in found)
    checked = [(installed, check_all(installed)) for installed in found]
    print(formats[chosen.format](checked, hide=chosen.no_passwords))
    return int(any(health.problem for _, results in checked for health in results.values()))


def open_pages(settings: OpsSettings, arguments: list[str]) -> int:
    """Open the pages for people, such as the dashboard, in the browser; return 1 if one cannot be opened."""
    argparse.ArgumentParser(prog="python -m ops open", description=open_pages.__doc__).parse_args(arguments)
    out = console()
    found = [
        replace(installed, components=frozenset(one.component for one in installed.endpoints if one.is_page))
        for installed in _running(settings)
    ]
    if not any(pages.components for pages in found):
        titles = " and ".join(pages.title for pages in found)
        fix = "make up, or make compose-up BI=1"
        raise Problem("there is no page to open", f"neither Superset nor Airflow runs in {titles}", fix)
    failed = False
    for pages in found:
        if not pages.components:
            continue
        failed |= bool(url_table.show(pages, out, hide=url_table.hide_passwords(out, requested=False)))
        for endpoint in pages.endpoints:
            address = url(endpoint, pages.ports)
            if not webbrowser.open(address):
                print(f"this machine has no browser; open {address}")
                failed = True
    return int(failed)


def _running(settings: OpsSettings) -> list[Installation]:
    """Return the access to each running platform.

    Raises:
        Problem: nothing is running.
    """
    found = [installed for installed in (find(settings), compose.installation()) if installed is not None]
    if not found:
        raise Problem(
            "nothing is running", f"neither in {settings.KUBE_CONTEXT} nor in Compose", make_command.make_up()
        )
    return found
