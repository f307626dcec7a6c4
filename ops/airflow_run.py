"""Trigger a run of the pipeline in Kubernetes or Compose, wait for its end, and report the state of each step."""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from crypto_analytics.batch.alert import RUNBOOK
from crypto_analytics.batch.step_definitions import STEPS
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.kubernetes import access
from ops.platform import airflow, make_command
from ops.platform.endpoints import Installation

_POLL_SECONDS = 2.0
_SHOWN_LINES = 15


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Run the pipeline wherever Airflow runs; return 0 if it succeeded.

    Raises:
        Problem: Airflow cannot be reached, or a run failed.
    """
    argparse.ArgumentParser(prog="python -m ops airflow-run", description=__doc__).parse_args(arguments)
    running = (access.find(settings), compose.installation())
    found = [one for one in running if one is not None and airflow.COMPONENT in one.components]
    if not found:
        where = f"neither in {settings.KUBE_CONTEXT} nor in Compose"
        raise Problem("Airflow does not run", where, f"{make_command.make_up()}, or: make compose-up AIRFLOW=1")
    out = console()
    for installed in found:
        out.print(f"{installed.title}:", markup=False)
        run(installed, out)
    return 0


def run(installed: Installation, out: Console) -> None:
    """Trigger a run and follow it to its end.

    Raises:
        Problem: Airflow cannot be reached, the pipeline is paused, or the run failed.
    """
    try:
        with airflow.Airflow(installed.ports["AIRFLOW_PORT"], installed.passwords[airflow.LOGIN_KEY]) as api:
            if api.pipeline()["is_paused"]:
                raise Problem("the pipeline is paused", "a run would stay queued", "unpause it in Airflow: make urls")
            _follow(api, api.trigger(), out)
    except httpx.HTTPError as error:
        fix = "make status; a cluster that is not kind's: make forward beside this"
        raise Problem("Airflow does not answer", str(error), fix) from error


def _follow(api: airflow.Airflow, run: str, out: Console) -> None:
    out.print(f"run {run} is queued; it starts when the current run has ended", markup=False)
    printed: set[str] = set()
    while not airflow.has_ended(api.run(run)):
        for name, task in api.tasks(run).items():
            tries = f", try {task['try_number']}" if task["try_number"] > 1 else ""
            step_line = f"{name}: {task['state']}{tries}"
            if task["state"] not in (None, "scheduled", "queued") and step_line not in printed:
                printed.add(step_line)
                out.print(f"  {step_line}", markup=False)
        time.sleep(_POLL_SECONDS)
    tasks = api.tasks(run)
    out.print(table(tasks))
    failed = next((task for task in tasks.values() if task["state"] == "failed"), None)
    if failed is None:
        if (state := api.run(run)["state"]) != "success":
            raise Problem(f"run {run} is {state}", "no task failed: the run was ended in Airflow", "make airflow-run")
        return
    for line in api.log(run, failed["task_id"], failed["try_number"])[-_SHOWN_LINES:]:
        out.print(f"  {line}", markup=False, soft_wrap=True)
    raise Problem(f"{failed['task_id']} failed", f"after {failed['try_number']} tries; its log is above", RUNBOOK)


def table(tasks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table of the steps with duration in seconds, tries and state."""
    shown = Table("step", "s", "tries", "state")
    for step in STEPS:
        its = tasks.get(step.name, {})
        seconds = its.get("duration")
        shown.add_row(
            step.name, f"{seconds:.0f}" if seconds else "", str(its.get("try_number", "")), str(its.get("state"))
        )
    return shown
