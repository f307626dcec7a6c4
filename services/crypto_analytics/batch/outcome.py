"""What a batch run says at its end: the table of steps, the report, the last line and the alert. Pure."""

from collections.abc import Sequence
from typing import Any

from crypto_analytics.batch import alert as form
from crypto_analytics.batch.runner import Outcome

_LINES_IN_SUMMARY = 6
_CHARACTERS_A_LINE = 300


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the run as plain data, for ``--report``."""
    return {
        "succeeded": all(outcome.succeeded for outcome in outcomes),
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 3),
        "steps": [
            {
                "name": outcome.step.name,
                "seconds": round(outcome.seconds, 3),
                "tries": outcome.tries,
                "exit_code": outcome.exit_code,
            }
            for outcome in outcomes
        ],
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a line per step with its seconds."""
    lines = [
        f"  {outcome.step.name:<16} {outcome.seconds:6.1f} s  {'done' if outcome.succeeded else 'FAILED'}"
        + (f" after {outcome.tries} tries" if outcome.tries > 1 else "")
        for outcome in outcomes
    ]
    return "\n".join([*lines, f"  {'all':<16} {sum(outcome.seconds for outcome in outcomes):6.1f} s"])


def failure(outcome: Outcome) -> str:
    """Return the run's last line: the step that failed, the last lines of its log, and the next command."""
    tries = "1 try" if outcome.tries == 1 else f"{outcome.tries} tries"
    code = f"exit code {outcome.exit_code}"
    how = code if outcome.reason == code else f"{code} ({outcome.reason})"
    said = " | ".join(line.strip()[:_CHARACTERS_A_LINE] for line in outcome.tail[-_LINES_IN_SUMMARY:])
    return (
        f"batch: {outcome.step.name} failed with {how} after {tries}: {said}; "
        "mend that and run the batch again, or this step alone: "
        f"python -m crypto_analytics.batch --steps {outcome.step.name}"
    )


def alert(outcome: Outcome, run: str) -> dict[str, str]:
    """Return the message for the webhook about a step that failed finally."""
    return form.message(form.Alert(outcome.step.name, run, outcome.tries, outcome.reason, outcome.tail))
