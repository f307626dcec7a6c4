"""Run the batch steps in Compose without Airflow, once, or every EVERY minutes until Ctrl-C."""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event

from rich.console import Console
from rich.table import Table

from crypto_analytics.batch.step_definitions import RETRIES
from crypto_analytics.runtime import shutdown
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.runtime.settings import load
from ops.common import external_programs
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.compose import up as compose_up
from ops.compose.project import ComposeSettings, Project

_PROFILE = "batch"
_AGAIN = "make compose-batch"
_FIRST_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class StepRun:
    """The tries of a step: its service, their number, the seconds of all of them, and whether the last succeeded."""

    service: str
    tries: int
    seconds: float
    succeeded: bool


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Run all steps in order; with EVERY=n again every n minutes, also after a failed run."""
    argparse.ArgumentParser(prog="python -m ops compose-batch", description=__doc__).parse_args(arguments)
    requested = load(ComposeSettings, "compose-batch")
    project = compose.running(requested)
    out = console()
    compose_up.prepare(settings, project, _PROFILE, out)
    if not requested.EVERY:
        run(project, out)
        return 0
    stop = shutdown.stop_event()
    out.print(f"running the batch every {requested.EVERY} minutes until Ctrl-C", markup=False)
    while not stop.is_set():
        started = time.monotonic()
        try:
            run(project, out, stop)
        except Problem as problem:
            if stop.is_set():
                break
            out.print(str(problem), markup=False, soft_wrap=True)
        stop.wait(max(0.0, started + requested.EVERY * 60 - time.monotonic()))
    return 0


def run(project: Project, out: Console, stop: Event | None = None) -> None:
    """Run the steps and print the duration of each.

    Raises:
        Problem: a step failed after all its tries, and the end of its log is printed; or ``stop`` was set meanwhile.
    """
    stop = stop or Event()
    needed = set(project.ask("config", "--services", profile=_PROFILE).split()) - set(compose.STEPS_OF_BATCH)
    if not (
        project.call("up", "--detach", *sorted(needed), profile=_PROFILE)
        and compose.wait_until_ended(project.name, compose_up.JOBS)
    ):
        raise compose_up.failure(compose.containers(project.name), _AGAIN, out)
    compose_up.create_steps(project)
    names = {one.service: one.name for one in compose.containers(project.name)}
    runs: list[StepRun] = []
    for service in compose.STEPS_OF_BATCH:
        if stop.is_set():
            raise Problem("the batch was stopped", f"{service} and the steps after it did not run", _AGAIN)
        runs.append(run_step(service, names[service], stop))
        if not runs[-1].succeeded:
            failed = [one for one in compose.containers(project.name) if one.service == service]
            raise compose_up.failure(failed, _AGAIN, out)
    out.print(table(runs))


def run_step(service: str, container: str, stop: Event) -> StepRun:
    """Run the container of a step until it succeeds, its retries are used up, or ``stop`` is set."""
    started = time.monotonic()
    waits = backoff(_FIRST_RETRY_SECONDS)
    tries = 0
    while True:
        tries += 1
        succeeded = _start_and_wait(container)
        if succeeded or tries > RETRIES or stop.wait(next(waits)):
            return StepRun(service, tries, time.monotonic() - started, succeeded)


def _start_and_wait(container: str) -> bool:
    external_programs.run("docker", "start", container, fix=_AGAIN)
    return external_programs.run("docker", "wait", container, fix="docker ps --all").strip() == "0"


def table(runs: Iterable[StepRun]) -> Table:
    """Return a table of the steps with duration in seconds and tries."""
    shown = Table("step", "s", "tries", show_footer=True)
    total = 0.0
    for one in runs:
        shown.add_row(one.service, f"{one.seconds:.0f}", str(one.tries))
        total += one.seconds
    shown.columns[0].footer = "total"
    shown.columns[1].footer = f"{total:.0f}"
    return shown
