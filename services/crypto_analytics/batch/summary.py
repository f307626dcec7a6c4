"""What a batch run says at its end: the table of steps, the report, the last line and the alert. Pure."""

from collections.abc import Sequence
from typing import Any

from crypto_analytics.batch import alert as form
from crypto_analytics.batch.runner import StepResult

_LINES_IN_SUMMARY = 6
_CHARACTERS_A_LINE = 300


def report(results: Sequence[StepResult]) -> dict[str, Any]:
    """Return the run as plain data, for ``--report``."""
    return {
        "succeeded": all(result.succeeded for result in results),
        "seconds": round(sum(result.seconds for result in results), 3),
        "steps": [
            {
                "name": result.step.name,
                "seconds": round(result.seconds, 3),
                "tries": result.tries,
                "exit_code": result.exit_code,
            }
            for result in results
        ],
    }


def table(results: Sequence[StepResult]) -> str:
    """Return a line per step with its seconds."""
    lines = [
        f"  {result.step.name:<16} {result.seconds:6.1f} s  {'done' if result.succeeded else 'FAILED'}"
        + (f" after {result.tries} tries" if result.tries > 1 else "")
        for result in results
    ]
    return "\n".join([*lines, f"  {'all':<16} {sum(result.seconds for result in results):6.1f} s"])


def failure(result: StepResult) -> str:
    """Return the run's last line: the step that failed, the last lines of its log, and the next command."""
    tries = "1 try" if result.tries == 1 else f"{result.tries} tries"
    code = f"exit code {result.exit_code}"
    how = code if result.reason == code else f"{code} ({result.reason})"
    said = " | ".join(line.strip()[:_CHARACTERS_A_LINE] for line in result.tail[-_LINES_IN_SUMMARY:])
    return (
        f"batch: {result.step.name} failed with {how} after {tries}: {said}; "
        "mend that and run the batch again, or this step alone: "
        f"python -m crypto_analytics.batch --steps {result.step.name}"
    )


def alert(result: StepResult, run: str) -> dict[str, str]:
    """Return the message for the webhook about a step that failed finally."""
    return form.message(form.Alert(result.step.name, run, result.tries, result.reason, result.tail))
