"""The one form of an alert about the batch, whoever runs it: plain data in, Slack-compatible JSON out. Pure.

Only the standard library is imported, so that the DAG can use it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PIPELINE = "crypto_batch_pipeline"
RUNBOOK = "docs/runbooks/batch-failed.md"
_LINES = 12
_CHARACTERS_A_LINE = 300


@dataclass(frozen=True)
class Alert:
    """A step that failed finally.

    Attributes:
        step: the task's name.
        run: which run, as its way of running names it.
        tries: how many tries there were.
        reason: why the last one failed, in words.
        lines: the last lines of its log.
        page: where to look at it; empty: nowhere.
    """

    step: str
    run: str
    tries: int
    reason: str
    lines: Sequence[str] = ()
    page: str = ""


def message(alert: Alert) -> dict[str, str]:
    """Return what the webhook gets: DAG, task, run, try, the reason, the log's last lines, and the runbook."""
    tries = "1 try" if alert.tries == 1 else f"{alert.tries} tries"
    parts = [
        f"{PIPELINE}: {alert.step} failed after {tries} in run {alert.run}",
        f"reason: {' '.join(alert.reason.split())}",
        f"runbook: {RUNBOOK}",
    ]
    if alert.page:
        parts.append(f"log: {alert.page}")
    lines = [line.rstrip()[:_CHARACTERS_A_LINE] for line in alert.lines if line.strip()][-_LINES:]
    if lines:
        parts.append("```" + "\n".join(lines) + "```")
    return {"text": "\n".join(parts)}
