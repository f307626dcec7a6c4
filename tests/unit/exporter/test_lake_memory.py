"""The exporter's memory does not grow with the number of trades in an hour."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT


def grown(folder: Path, trades: int) -> float:
    """Return the largest growth in MB of a process that compacts an hour of ``trades`` trades."""
    command = [sys.executable, "-m", "tests.unit.exporter.memory_child", str(folder), str(trades)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    return float(report["after"] - report["before"])


@pytest.mark.timeout(120)
def test_four_times_the_trades_take_no_more_memory(tmp_path: Path) -> None:
    few, many = grown(tmp_path / "few", 50_000), grown(tmp_path / "many", 200_000)
    assert many < few + 25
