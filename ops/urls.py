"""Print the tables of endpoints of the cluster and of Compose: name, URL, user, password, health."""

import argparse

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.kubernetes.access import find
from ops.platform import make_command
from ops.platform.url_table import add_no_passwords, show


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the table of each running platform; return 1 if an endpoint is unhealthy."""
    parser = argparse.ArgumentParser(prog="python -m ops urls", description=__doc__)
    add_no_passwords(parser)
    hide = parser.parse_args(arguments).no_passwords
    found = [installed for installed in (find(settings), compose.installation()) if installed is not None]
    if not found:
        raise Problem(
            "nothing is running", f"neither in {settings.KUBE_CONTEXT} nor in Compose", make_command.make_up()
        )
    return max(show(installed, console(), hide=hide) for installed in found)
