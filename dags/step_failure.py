"""The failure of a step's try, and the alert about it."""

from typing import Any

from airflow.sdk.exceptions import AirflowException

from crypto_analytics.batch import alert, webhook

LINES = 12  # of the log, in the alert


class StepFailed(AirflowException):
    """A try of a step failed; the text has the cause. ``lines`` are the last lines of its log."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


def send_alert(context: Any, url: str) -> None:
    """Print the alert about a failed task to its log and post it to the webhook; a failed post is logged too."""
    task, error = context["ti"], context.get("exception")
    failed = alert.Alert(
        step=task.task_id,
        run=task.run_id,
        tries=task.try_number,
        reason=str(error) if error else "the task's process was lost",
        lines=getattr(error, "lines", ()),
        page=getattr(task, "log_url", ""),
    )
    print(alert.message(failed)["text"])
    if not url:
        return
    try:
        webhook.post(url, alert.message(failed))
    except webhook.DeliveryFailed as problem:
        print(f"the alert could not be sent: {problem}; next: check ALERT_WEBHOOK_URL")
