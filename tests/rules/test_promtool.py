"""promtool accepts every rule, and each alert fires and stays quiet as the files beside this one say.

It runs in the image `monitoring` of the last `make images`, so that it is the version that evaluates the rules.
"""

import json
import subprocess
from pathlib import Path

import pytest

from ops.dev.alerts_page import RULES
from ops.dev.grafana.__main__ import DASHBOARDS
from ops.platform.images import read_tags, reference
from tests.servers import ROOT

UNIT_TESTS = sorted((ROOT / "tests" / "rules").glob("*.yaml"))


def promtool(*arguments: str, text: str = "") -> str:
    """Return the output of promtool, which sees the checkout as /checkout and no network."""
    tag = read_tags().get("monitoring")
    assert tag, "the image monitoring is not built; next: make images"
    options = [
        "--rm",
        "--interactive",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp",
        "--volume",
        f"{ROOT}:/checkout:ro",
    ]
    command = ["docker", "run", *options, "--entrypoint=promtool", reference("monitoring", tag), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"promtool {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def inside(file: Path) -> str:
    return f"/checkout/{file.relative_to(ROOT)}"


def test_every_rule_is_right() -> None:
    files = sorted(RULES.glob("*.yaml"))
    out = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(inside, files))
    assert out.count("SUCCESS") == len(files) == 5


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_each_alert_fires_and_stays_quiet(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", inside(file))


def test_every_query_of_the_dashboards_is_right() -> None:
    queries = [query.expression for one in DASHBOARDS for panel in one.panels for query in panel.queries]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    out = promtool("check", "rules", text=json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(queries)} rules found" in out


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    """The check itself can fail: a test that expects silence of the watchdog."""
    expectation = {"eval_time": "1m", "expr": 'ALERTS{alertname="Watchdog"}', "exp_samples": []}
    test = {"interval": "15s", "input_series": [], "promql_expr_test": [expectation]}
    file = tmp_path / "wrong.yaml"
    file.write_text(json.dumps({"rule_files": [inside(RULES / "platform.yaml")], "tests": [test]}))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", "/dev/stdin", text=file.read_text())
