"""Summarize a batch run: the table of steps, the report, the last line of a failed run, and its alert. Pure."""

from collections.abc import Sequence
from typing import Any

from crypto_analytics.batch.alert import Alert, message
from crypto_analytics.batch.runner import StepResult

_LINES_IN_SUMMARY = 6
_CHARACTERS_PER_LINE = 300


def report(results: Sequence[StepResult]) -> dict[str, Any]:
    """Return the results as plain data, for ``--report``."""
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
    """Return a line per step with its duration in seconds."""
    lines = [
        f"  {result.step.name:<16} {result.seconds:6.1f} s  {'done' if result.succeeded else 'FAILED'}"
        + (f" after {result.tries} tries" if result.tries > 1 else "")
        for result in results
    ]
    return "\n".join([*lines, f"  {'all':<16} {sum(result.seconds for result in results):6.1f} s"])


def failure(result: StepResult) -> str:
    """Return the last line of a failed run: the step, the last lines of its output, and the next command."""
    tries = "1 try" if result.tries == 1 else f"{result.tries} tries"
    code = f"exit code {result.exit_code}"
    how = code if result.reason == code else f"{code} ({result.reason})"
    output = " | ".join(line.strip()[:_CHARACTERS_PER_LINE] for line in result.tail[-_LINES_IN_SUMMARY:])
    return (
        f"batch: {result.step.name} failed with {how} after {tries}: {output}; "
        "fix the cause and run the batch again, or this step alone: "
        f"python -m crypto_analytics.batch --steps {result.step.name}"
    )


def alert(result: StepResult, run: str) -> dict[str, str]:
    """Return the webhook's message about a step that failed in all its tries."""
    return message(Alert(result.step.name, run, result.tries, result.reason, result.tail))
