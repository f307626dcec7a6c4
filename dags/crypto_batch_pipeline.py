"""Run the batch every five minutes: the steps in ``batch/step_definitions.py``, each in its own pod or container."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator
from step_failure import send_alert

from crypto_analytics.batch.alert import PIPELINE
from crypto_analytics.batch.step_definitions import RETRIES, STEPS, Step

# Compose: the URL of a step's container in the engine's API, with {step} for its name. Kubernetes: empty.
CONTAINER_URL = os.environ.get("BATCH_CONTAINER_URL", "")
RETRY = timedelta(seconds=float(os.environ.get("BATCH_RETRY_SECONDS", "30")))
STARTUP_SECONDS = int(os.environ.get("BATCH_STARTUP_SECONDS", "120"))
TERMINATION = timedelta(seconds=60)  # from the deadline of the pod to that of its task


def task(step: Step, **options: Any) -> BaseOperator:
    """Return the task of ``step``. Only the operator that is needed is imported: each running task is a process."""
    if CONTAINER_URL:
        from step_container import StepContainer  # noqa: PLC0415

        return StepContainer(step=step, url=CONTAINER_URL.format(step=step.name.replace("_", "-")), **options)
    from step_pod import StepPod  # noqa: PLC0415

    # Where the chart's ConfigMap batch-steps is mounted: <step>.yaml is a step's pod.
    templates = Path(os.environ["BATCH_POD_TEMPLATES"])
    return StepPod(step=step, templates=templates, startup=STARTUP_SECONDS, **options)


with DAG(
    PIPELINE,
    description="backfill, silver, quality gate, gold and lake",
    schedule=os.environ.get("BATCH_SCHEDULE", "*/5 * * * *"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    doc_md=f"{__doc__}\n\nWhat to do when a step fails: `docs/runbooks/batch-failed.md`.",
    tags=["crypto-analytics"],
):
    tasks = [
        task(
            step,
            retries=RETRIES,
            retry_delay=RETRY,
            retry_exponential_backoff=2,
            max_retry_delay=timedelta(minutes=5),
            execution_timeout=timedelta(seconds=step.timeout_seconds + STARTUP_SECONDS) + TERMINATION,
            on_failure_callback=lambda context: send_alert(context, os.environ.get("ALERT_WEBHOOK_URL", "")),
        )
        for step in STEPS
    ]
    for earlier, later in pairwise(tasks):
        earlier >> later
