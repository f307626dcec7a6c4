"""The workflow for hosted runners runs what `.ci/run` runs; the files of `.github` and `.devcontainer` are valid."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_analytics import __version__
from ops.platform.images import WITH_PACKAGES
from tests.servers import ROOT

WORKFLOW = ROOT / ".github/workflows/ci.yml"
RELEASE = ROOT / ".github/workflows/release.yml"
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


def test_the_release_runs_ci_first_and_only_its_pushing_jobs_write_packages() -> None:
    release = load(RELEASE)
    pushing = {name: job for name, job in release["jobs"].items() if name != "ci"}
    assert release["jobs"]["ci"] == {"uses": "./.github/workflows/ci.yml"}
    assert (pushing["images"]["needs"], pushing["publish"]["needs"]) == ("ci", "images")
    assert release["permissions"] == {"contents": "read"}
    assert all(job["permissions"] == {"contents": "read", "packages": "write"} for job in pushing.values())
    assert all("timeout-minutes" in job for job in pushing.values())
    used = {step["uses"] for job in pushing.values() for step in job["steps"] if "uses" in step}
    assert used == {"actions/checkout@v4", "./.github/actions/tools"}
    assert "${{ github." not in "".join(step.get("run", "") for job in pushing.values() for step in job["steps"])


@pytest.mark.parametrize(("tag", "accepted"), [(f"v{__version__}", True), ("v9.9.9", False), (__version__, False)])
def test_only_the_tag_of_the_version_is_released(tag: str, accepted: bool) -> None:
    env = {**os.environ, "GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY": "Somebody/Crypto"}
    done = subprocess.run(
        [str(ROOT / ".github/release-variables")], env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode == 0) is accepted
    assert done.stdout == (f"VERSION={__version__}\nIMAGE_REGISTRY=ghcr.io/somebody/crypto\n" if accepted else "")


def test_the_version_is_the_same_everywhere() -> None:
    charts = [load(file) for file in ROOT.glob("charts/*/Chart.yaml")]
    assert {chart[key] for chart in charts for key in ("version", "appVersion") if key in chart} == {__version__}
    baked = (ROOT / "images/docker-bake.hcl").read_text()
    assert f'variable "TAG" {{ default = "{__version__}" }}' in baked
    assert set(re.findall(r"_TAG:-([^}]+)}", (ROOT / "docker-compose.yml").read_text())) == {__version__}


def test_the_release_links_every_base_image() -> None:
    linked = (ROOT / "images/release.hcl").read_text()
    lists = [set(re.findall(r'"(\w+)"', names)) for names in re.findall(r"for name in \[(.+?)\]", linked)]
    baked = (ROOT / "images/docker-bake.hcl").read_text()
    (group,) = re.findall(r'group "base" \{ targets = \[(.+?)\]', baked)
    assert lists == [set(re.findall(r'"(\w+)"', group)), {*WITH_PACKAGES, "npm"}]


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
