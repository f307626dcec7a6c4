"""State, health and memory of the Compose project's containers."""

import json
from collections.abc import Iterable, Mapping

from rich.table import Table

from ops.common.external_programs import run
from ops.common.units import MIB, quantity
from ops.compose.project import STEPS_OF_BATCH, Container


def memory(found: Iterable[Container]) -> dict[str, int]:
    """Return the memory in use by each running container, in bytes by name.

    Raises:
        Problem: docker does not answer.
    """
    names = [one.name for one in found if one.state == "running"]
    if not names:
        return {}
    output = run("docker", "stats", "--no-stream", "--format", "{{json .}}", *names, fix="docker ps --all")
    return parse(output)


def parse(output: str) -> dict[str, int]:
    """Return the bytes by name from docker's lines ("MemUsage": "53.2MiB / 384MiB")."""
    rows = [json.loads(line) for line in output.splitlines() if line.strip()]
    return {row["Name"]: quantity(row["MemUsage"].partition("/")[0].strip().removesuffix("B")) for row in rows}


def table(found: Iterable[Container], used: Mapping[str, int]) -> Table:
    """Return a table of the containers with health and memory; completed jobs are counted, not listed."""
    shown = Table("container", "state", "tries", "MiB", title_justify="left")
    for column in shown.columns[2:]:
        column.justify = "right"
    done = 0
    for one in found:
        if one.state == "created" and one.service in STEPS_OF_BATCH:
            continue  # Airflow starts it
        if one.state == "exited" and not one.failed:
            done += 1
            continue
        state = f"{one.state} ({one.exit_code})" if one.state == "exited" else one.health or one.state
        size = f"{used[one.name] / MIB:,.0f}" if one.name in used else ""
        shown.add_row(one.service, state, str(one.tries), size)
    shown.caption = f"{sum(used.values()) / MIB:,.0f} MiB in total; {done} jobs done"
    shown.caption_justify = "left"
    return shown
