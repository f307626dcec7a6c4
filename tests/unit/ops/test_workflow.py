"""The workflow for hosted runners runs what `.ci/run` runs; the files of `.github` and `.devcontainer` are valid."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers import ROOT

WORKFLOW = ROOT / ".github/workflows/ci.yml"
TOOLS = ROOT / ".github/actions/tools/action.yml"
FORMS = [ROOT / ".github/ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]
# A hosted runner has an engine and programs already, and a machine of its own, on which nothing runs yet.
_ONLY_IN_CI_RUN = {"airgap", "down compose-down YES=1 VOLUMES=1"}


def load(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text()))


def phases() -> set[str]:
    """Return the arguments of each make of `.ci/run`."""
    commands = re.findall(
        r"^[^#\n]*?\bmake ([a-z][^\n>&\"']*?)(?: >.*| &.*)?$", (ROOT / ".ci/run").read_text(), re.MULTILINE
    )
    return {command.strip() for command in commands} - _ONLY_IN_CI_RUN


def jobs() -> dict[str, Any]:
    return dict(load(WORKFLOW)["jobs"])


def commands(job: dict[str, Any]) -> Iterator[str]:
    """Yield the command of each step of a job, once for each value of the matrix."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for step in job["steps"]:
        command = str(step.get("run", ""))
        values = matrix.get("target", [""])
        yield from (
            (command.replace("${{ matrix.target }}", value) for value in values) if "matrix." in command else [command]
        )


def test_the_workflow_runs_every_phase() -> None:
    assert len(phases()) > 15
    ran = {command.removeprefix("make ") for job in jobs().values() for command in commands(job)}
    assert sorted(phase for phase in phases() if phase not in ran) == []


def test_every_target_of_the_workflow_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.split()[1] for job in jobs().values() for command in commands(job) if command.startswith("make ")}
    assert named - targets == set()


def test_one_lane_installs_the_environment_default() -> None:
    assert [name for name, job in jobs().items() if job.get("env", {}).get("ENV") == "default"] == [
        "kubernetes-default"
    ]


def test_actions_have_a_major_version_or_a_commit_and_the_token_only_reads() -> None:
    steps = [step for job in jobs().values() for step in job["steps"]] + load(TOOLS)["runs"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"\./\.github/.+|[\w/-]+@(v\d+|[0-9a-f]{40})", name)] == []
    assert load(WORKFLOW)["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in jobs().values())


def test_versions_are_those_of_the_project() -> None:
    minimum = re.search(r"^GO_MINIMUM=(\S+)", (ROOT / "ops/airgap/versions.env").read_text(), re.MULTILINE)
    assert minimum is not None
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    text = WORKFLOW.read_text() + TOOLS.read_text()
    assert set(re.findall(r'go-version: "(.+)"', text)) == {minimum.group(1)}
    assert container["features"]["ghcr.io/devcontainers/features/go:1"]["version"] == minimum.group(1)
    assert set(re.findall(r'python-version: "(.+)"', text)) == {"3.11"}
    assert "python:3.11-" in container["image"]


def test_the_devcontainer_runs_the_demo() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make demo"
    assert container["features"]["ghcr.io/devcontainers/features/java:1"] == {"version": "17", "installMaven": "true"}


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.stem)
def test_issue_forms_ask_for_something(form: Path) -> None:
    content = load(form)
    assert {"name", "description", "body"} <= set(content)
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
