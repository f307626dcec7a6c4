"""State the requests and limits of each batch step; the charts and Compose are compared with them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepResources:
    """The requests and limits of a step's container, as Kubernetes quantities."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str


_DBT = StepResources(cpu_request="100m", cpu_limit="1", memory_request="256Mi", memory_limit="512Mi")

# By the name of the step.
STEP_RESOURCES = {
    "backfill_recent": StepResources(cpu_request="100m", cpu_limit="1", memory_request="128Mi", memory_limit="512Mi"),
    "dbt_silver": _DBT,
    "dbt_test_silver": _DBT,
    "ge_validate": StepResources(cpu_request="100m", cpu_limit="1", memory_request="384Mi", memory_limit="1Gi"),
    "dbt_gold": _DBT,
    "dbt_test_gold": _DBT,
    "export_lake": StepResources(cpu_request="100m", cpu_limit="1", memory_request="256Mi", memory_limit="512Mi"),
}
