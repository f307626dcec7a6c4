"""Compose the alert about a failed step as Slack-compatible JSON, for the batch runner and the DAG. Pure.

Only the standard library is imported, because Airflow's image has no other packages of the services.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PIPELINE = "crypto_batch_pipeline"
RUNBOOK = "docs/runbooks/batch-failed.md"
_MOST_LINES = 12
_CHARACTERS_PER_LINE = 300


@dataclass(frozen=True)
class Alert:
    """A step that failed in all its tries.

    Attributes:
        step: the name of the step.
        run: the run's id in Airflow, or the time of the run.
        tries: the number of tries.
        reason: why the last try failed.
        lines: the last lines of its log.
        page: the URL of its log; empty if there is none.
    """

    step: str
    run: str
    tries: int
    reason: str
    lines: Sequence[str] = ()
    page: str = ""


def message(alert: Alert) -> dict[str, str]:
    """Return the webhook's message: DAG, step, tries, run, reason, runbook, and the last lines of the log."""
    tries = "1 try" if alert.tries == 1 else f"{alert.tries} tries"
    parts = [
        f"{PIPELINE}: {alert.step} failed after {tries} in run {alert.run}",
        f"reason: {' '.join(alert.reason.split())}",
        f"runbook: {RUNBOOK}",
    ]
    if alert.page:
        parts.append(f"log: {alert.page}")
    lines = [line.rstrip()[:_CHARACTERS_PER_LINE] for line in alert.lines if line.strip()][-_MOST_LINES:]
    if lines:
        parts.append("```" + "\n".join(lines) + "```")
    return {"text": "\n".join(parts)}
