"""Format the alert of a failed step for the DAG."""

import subprocess
import sys

from crypto_analytics.batch import alert
from tests.servers import ROOT


def test_the_alert_names_step_run_reason_and_next_command() -> None:
    message = alert.message(
        alert.Alert("ge_validate", "scheduled__1", 3, "OOMKilled:\nlimit 1Gi", ["a", "", "b" * 400], "http://airflow/x")
    )
    assert list(message) == ["text"]
    text = message["text"]
    for word in ("crypto_batch_pipeline", "ge_validate", "scheduled__1", "3 tries", "OOMKilled: limit 1Gi",
                 alert.RUNBOOK, "http://airflow/x", "```a\nbbb"):  # fmt: skip
        assert word in text
    assert "b" * 301 not in text
    assert (ROOT / alert.RUNBOOK).is_file()


def test_only_the_last_lines_are_sent() -> None:
    text = alert.message(alert.Alert("s", "r", 1, "exit code 1", [f"line {n}." for n in range(50)]))["text"]
    assert "line 49." in text
    assert "line 37." not in text
    assert "1 try in" in text


def test_what_the_dag_imports_needs_the_standard_library_alone() -> None:
    modules = (
        "crypto_analytics.batch.alert, crypto_analytics.batch.pod_diagnosis, crypto_analytics.batch.step_definitions"
    )
    code = f"import sys; sys.path.insert(0, 'services'); import {modules}"
    subprocess.run([sys.executable, "-IS", "-c", code], cwd=ROOT, check=True)
