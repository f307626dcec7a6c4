"""Define the steps of the batch, in order, for the local run, Compose and the Airflow DAG.

Memory limits are values of the platform: `charts/batch/values.yaml` and `docker-compose.yml`.
Only the standard library is imported, so that a DAG file can load this module by itself.
"""

from dataclasses import dataclass
from typing import Literal

Component = Literal["services", "dbt", "ge"]
Role = Literal["writer", "transformer", "gate", "reader"]

_DBT = ("--project-dir", "dbt", "--profiles-dir", "dbt", "--no-use-colors")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: the name of the step, and of its task in the DAG.
        component: the component whose image or environment it runs in.
        command: the program and its arguments; the working directory holds ``dbt/`` and ``ge/``.
        role: the PostgreSQL role that it logs in as.
        timeout_seconds: the longest duration of one try.
    """

    name: str
    component: Component
    command: tuple[str, ...]
    role: Role
    timeout_seconds: int


def _dbt(name: str, *arguments: str) -> Step:
    return Step(name, "dbt", ("dbt", *arguments, *_DBT), "transformer", timeout_seconds=600)


STEPS: tuple[Step, ...] = (
    Step(
        name="backfill_recent",
        component="services",
        command=("python", "-m", "crypto_analytics.backfill"),
        role="writer",
        timeout_seconds=600,
    ),
    _dbt("dbt_silver", "run", "--select", "tag:silver"),
    _dbt("dbt_test_silver", "test", "--select", "tag:silver,test_type:data"),
    Step(
        name="ge_validate",
        component="ge",
        command=("python", "-m", "ge"),
        role="gate",
        timeout_seconds=300,
    ),
    _dbt("dbt_gold", "run", "--select", "tag:gold"),
    _dbt("dbt_test_gold", "test", "--select", "tag:gold,test_type:data"),
    Step(
        name="export_lake",
        component="services",
        command=("python", "-m", "crypto_analytics.exporter"),
        role="reader",
        timeout_seconds=900,
    ),
)

RETRIES = 2  # after the first try of a step


def select(names: str | None) -> tuple[Step, ...]:
    """Return the steps with the comma-separated ``names``, in the batch's order; all steps for None.

    Raises:
        ValueError: a name is unknown, or the list is empty.
    """
    if names is None:
        return STEPS
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = [step.name for step in STEPS]
    unknown = sorted(wanted - set(known))
    if unknown or not wanted:
        raise ValueError(f"{', '.join(unknown) or 'nothing'} is no step; the steps are {', '.join(known)}")
    return tuple(step for step in STEPS if step.name in wanted)
