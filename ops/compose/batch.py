"""Run the batch steps in Compose, once, or every EVERY minutes until Ctrl-C."""

import argparse
import time
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from crypto_analytics.batch.step_definitions import STEPS
from crypto_analytics.runtime import shutdown
from crypto_analytics.runtime.settings import load
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.compose import up as compose_up
from ops.compose.project import ComposeSettings, Container, Project

SERVICES = tuple(step.name.replace("_", "-") for step in STEPS)
_LAST = SERVICES[-1]


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Run all steps in order; with EVERY=n again every n minutes, also after a failed run."""
    argparse.ArgumentParser(prog="python -m ops compose-batch", description=__doc__).parse_args(arguments)
    requested = load(ComposeSettings, "compose-batch")
    project = compose.running(requested)
    out = console()
    compose_up.prepare(settings, project, "batch", out)
    if not requested.EVERY:
        run(project, out)
        return 0
    stop = shutdown.stop_event()
    out.print(f"running the batch every {requested.EVERY} minutes until Ctrl-C", markup=False)
    while not stop.is_set():
        started = time.monotonic()
        try:
            run(project, out)
        except Problem as problem:
            if stop.is_set():
                break
            out.print(str(problem), markup=False, soft_wrap=True)
        stop.wait(max(0.0, started + requested.EVERY * 60 - time.monotonic()))
    return 0


def run(project: Project, out: Console) -> None:
    """Run the steps and print the duration of each.

    Raises:
        Problem: a step failed after all its tries; the end of its log is printed.
    """
    # Each step depends on the previous one, so starting the last one runs all of them in order.
    succeeded = project.call("up", "--detach", _LAST, profile="batch") and compose.wait_until_ended(
        project.name, [_LAST]
    )
    found = compose.containers(project.name)
    if not succeeded:
        raise compose_up.failure(found, "make compose-batch", out)
    out.print(table(found))


def table(found: Iterable[Container]) -> Table:
    """Return a table of the steps with duration in seconds and tries."""
    by_service = {one.service: one for one in found}
    shown = Table("step", "s", "tries", show_footer=True)
    ran = [by_service[service] for service in SERVICES]
    for one in ran:
        shown.add_row(one.service, f"{one.seconds:.0f}", str(one.tries))
    shown.columns[0].footer = "total"
    shown.columns[1].footer = f"{sum(one.seconds for one in ran):.0f}"
    return shown
