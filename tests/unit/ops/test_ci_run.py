"""`.ci/run` removes a developer's cluster and volumes only if CI is set."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ops.common.paths import ROOT


@pytest.mark.parametrize(
    ("ci", "containers", "removes"),
    [("", "", True), ("true", "0f0e367b27f4", True), ("", "0f0e367b27f4", False), ("false", "0f0e367b27f4", False)],
)
def test_only_ci_removes_leftovers(tmp_path: Path, ci: str, containers: str, removes: bool) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {
        "docker": f"[ $1 = info ] || echo {containers}",
        "make": f'echo "$@" >> {tmp_path}/made',
        "java": "",
        "mvn": "",
        "chromium": "",
        "chromedriver": "",
        "npm": "",
        "apt-get": "exit 1",  # a program that is missing above fails the test and installs nothing
        "sudo": "exit 1",
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env |= {"PATH": f"{programs}:{os.environ['PATH']}"} | ({"CI": ci} if ci else {})
    done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=env, check=False, capture_output=True, text=True)
    made = tmp_path / "made"
    assert ("down compose-down YES=1 VOLUMES=1" in (made.read_text() if made.exists() else "")) is removes
    assert (done.returncode == 0) is removes
    assert ("CI=true bash .ci/run" in done.stderr) is not removes
