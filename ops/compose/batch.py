"""Run the batch steps in Compose, once or every few minutes until Ctrl-C."""

import argparse
import time
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from crypto_analytics.batch.steps import STEPS
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
    """Run all steps in order; with EVERY=n again every n minutes, whether or not a run failed."""
    argparse.ArgumentParser(prog="python -m ops compose-batch", description=__doc__).parse_args(arguments)
    asked = load(ComposeSettings, "compose-batch")
    project = compose.running(asked)
    out = console()
    compose_up.prepare(settings, project, "batch", out)
    if not asked.EVERY:
        run(project, out)
        return 0
    stop = shutdown.stop_event()
    out.print(f"batch runs every {asked.EVERY} minutes; Ctrl-C ends it", markup=False)
    while not stop.is_set():
        started = time.monotonic()
        try:
            run(project, out)
        except Problem as problem:
            if stop.is_set():
                break
            out.print(str(problem), markup=False, soft_wrap=True)
        stop.wait(max(0.0, started + asked.EVERY * 60 - time.monotonic()))
    return 0


def run(project: Project, out: Console) -> None:
    """Run the steps and print how long each took.

    Raises:
        Problem: a step failed finally; its last lines are printed.
    """
    # Each step waits for the one before it, so asking for the last one runs all of them, in order.
    went_well = project.call("up", "--detach", _LAST, profile="batch") and compose.ended(project.name, [_LAST])
    found = compose.containers(project.name)
    if not went_well:
        raise compose_up.failure(found, "make compose-batch", out)
    out.print(table(found))


def table(found: Iterable[Container]) -> Table:
    """Return the steps with their seconds and tries."""
    by_service = {one.service: one for one in found}
    shown = Table("step", "s", "tries", show_footer=True)
    ran = [by_service[service] for service in SERVICES]
    for one in ran:
        shown.add_row(one.service, f"{one.seconds:.0f}", str(one.tries))
    shown.columns[0].footer = "all"
    shown.columns[1].footer = f"{sum(one.seconds for one in ran):.0f}"
    return shown
