"""The end-to-end tests are collected in their order, also together with tests of other folders; no cluster is asked."""

import subprocess
import sys

from tests.servers import ROOT

FIRST = "tests/e2e/test_at_rest.py::test_trades_become_candles_and_raw_objects"
LAST = "tests/e2e/test_restart.py::test_a_restart_keeps_the_data_and_the_stream_continues"
OTHER = "tests/unit/e2e/test_workloads.py"


def collected(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def victims(found: list[str]) -> set[str]:
    return {name.partition("[")[2].rstrip("]") for name in found if "killed_part" in name}


def test_variant_both_together_with_tests_of_another_folder() -> None:
    found = collected("tests/e2e", OTHER, "--variant", "both")
    own = [name for name in found if name.startswith("tests/e2e/")]
    assert (own[0], own[-1]) == (FIRST, LAST)
    assert victims(own) == {"consumer", "spark-candles", "kafka", "postgres", "minio", "producer", "publisher", "api"}
    assert any("other_variant_takes_over" in name for name in own)
    assert any(name.startswith(OTHER) for name in found)


def test_compose_leaves_out_what_only_a_cluster_or_spark_has() -> None:
    found = collected("tests/e2e", "--platform", "compose")
    of_clusters = ("tests/e2e/test_pods.py", "tests/e2e/test_releases.py", "tests/e2e/test_airflow.py")
    assert not any(name.startswith(of_clusters) for name in found)
    assert any(name.startswith("tests/e2e/test_airflow_in_compose.py") for name in found)
    assert (found[0], found[-1]) == (FIRST, LAST)
    assert victims(found) == {"consumer", "kafka", "postgres", "minio", "producer", "publisher", "api"}
    assert not any("other_variant_takes_over" in name for name in found)
