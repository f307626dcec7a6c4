"""Run the batch every five minutes: a pod for each of the steps in ``batch/step_definitions.py``, in their order."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from airflow.sdk import DAG
from step_pod import StepPod, send_alert

from crypto_analytics.batch.alert import PIPELINE
from crypto_analytics.batch.step_definitions import RETRIES, STEPS

# Where the chart's ConfigMap batch-steps is mounted: <step>.yaml is a step's pod.
TEMPLATES = Path(os.environ["BATCH_POD_TEMPLATES"])
RETRY = timedelta(seconds=float(os.environ.get("BATCH_RETRY_SECONDS", "30")))
STARTUP_SECONDS = int(os.environ.get("BATCH_STARTUP_SECONDS", "120"))
TERMINATION = timedelta(seconds=60)  # from the deadline of the pod to that of its task


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
        StepPod(
            step=step,
            templates=TEMPLATES,
            startup=STARTUP_SECONDS,
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
