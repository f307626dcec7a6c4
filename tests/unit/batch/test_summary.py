"""Summarise a batch: durations, failed steps, the last line and the alert."""

from crypto_analytics.batch import summary
from crypto_analytics.batch.runner import StepResult
from crypto_analytics.batch.step_definitions import STEPS

GOOD = StepResult(STEPS[1], 0, 1, 4.25, ("fine",))
BAD = StepResult(STEPS[3], 1, 3, 21.5, ("one", "FAILED expect_column_values_to_be_between(volume)", "three"))


def test_the_report_holds_each_step_that_ran() -> None:
    assert summary.report([GOOD, BAD]) == {
        "succeeded": False,
        "seconds": 25.75,
        "steps": [
            {"name": "dbt_silver", "seconds": 4.25, "tries": 1, "exit_code": 0},
            {"name": "ge_validate", "seconds": 21.5, "tries": 3, "exit_code": 1},
        ],
    }
    assert summary.report([GOOD])["succeeded"]


def test_the_last_line_is_one_line_with_the_step_its_log_and_the_next_command() -> None:
    line = summary.failure(BAD)
    assert "\n" not in line
    assert "ge_validate failed with exit code 1 after 3 tries" in line
    assert "one | FAILED expect_column_values_to_be_between(volume) | three" in line
    assert line.endswith("python -m crypto_analytics.batch --steps ge_validate")


def test_the_alert_has_slacks_format() -> None:
    message = summary.alert(BAD, "2026-01-05T00:00:00Z")
    assert list(message) == ["text"]
    assert "ge_validate" in message["text"]
    assert "2026-01-05T00:00:00Z" in message["text"]
    assert "FAILED expect_column" in message["text"]


def test_the_table_marks_failed_steps() -> None:
    lines = summary.table([GOOD, BAD]).splitlines()
    assert lines[0].split() == ["dbt_silver", "4.2", "s", "done"]
    assert lines[1].split() == ["ge_validate", "21.5", "s", "FAILED", "after", "3", "tries"]
    assert lines[2].split() == ["all", "25.8", "s"]


def test_why_a_step_was_stopped_is_in_the_last_line_and_in_the_alert() -> None:
    stopped = StepResult(STEPS[1], 124, 3, 1800.0, (), stopped="not done after 600 s")
    assert "dbt_silver failed with exit code 124 (not done after 600 s) after 3 tries" in summary.failure(stopped)
    assert "reason: not done after 600 s" in summary.alert(stopped, "now")["text"]
    killed = StepResult(STEPS[1], -9, 1, 1.0, ())
    assert "dbt_silver failed with exit code -9 (killed by SIGKILL) after 1 try" in summary.failure(killed)
    assert "reason: killed by SIGKILL" in summary.alert(killed, "now")["text"]
