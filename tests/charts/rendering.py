"""Render charts and environments with helm and helmfile, each once, and read the objects."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from ops.kubernetes.helmfile import VARIABLES
from tests.servers import ROOT

Object = Mapping[str, Any]

KUBERNETES = "1.36.3"
NAMESPACE = "crypto-analytics"
ENVIRONMENTS = ("default", "lite", "production")
# Each environment with each variant, named "environment" or "environment variant".
SITUATIONS = tuple(f"{name}{variant}" for name in ENVIRONMENTS for variant in ("", " spark", " both"))
CHARTS = tuple(sorted(file.parent.name for file in (ROOT / "charts").glob("*/values.schema.json")))
_SECONDS = 120


def chart(name: str, values: Mapping[str, Any] | None = None) -> tuple[Object, ...]:
    """Return the objects of chart ``name``, with its values overridden by ``values``."""
    return _chart(name, json.dumps(values or {}))


def environment(name: str, values: Mapping[str, Any] | None = None, **variables: str) -> tuple[Object, ...]:
    """Return the objects of all of our releases in an environment or situation; upstream charts are left out.

    The environment's values are overwritten by ``values``.
    """
    name, _, variant = name.partition(" ")
    chosen = variables | ({"VARIANT": variant} if variant else {})
    return _environment(name, json.dumps(values or {}), tuple(sorted(chosen.items())))


def written_values(situation: str, override: Path, folder: Path) -> dict[str, Any]:
    """Return the values of each release of a situation, including upstream ones, with state values ``override``."""
    name, _, variant = situation.partition(" ")
    inherited = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    command = [program("helmfile"), "--environment", name, "--quiet", "--state-values-file", str(override)]
    files = f"{folder}/{{{{ .Release.Name }}}}.yaml"
    write = ["write-values", "--output-file-template", files]
    _run([*command, *write], env={**inherited, "VARIANT": variant})
    return {file.stem: yaml.safe_load(file.read_text()) for file in folder.glob("*.yaml") if file != override}


@cache
def _chart(name: str, values: str) -> tuple[Object, ...]:
    return tuple(_documents(template(name, values)))


@cache
def _environment(name: str, values: str, variables: tuple[tuple[str, str], ...]) -> tuple[Object, ...]:
    inherited = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        command = [program("helmfile"), "--environment", name, "--quiet", "--state-values-file", file.name]
        text = _run([*command, "--selector", "tier=platform", "template"], env={**inherited, **dict(variables)})
    return tuple(_documents(text))


def template(
    name: str, values: str, *, fails: bool = False, charts: Path = ROOT / "charts", kubernetes: str = KUBERNETES
) -> str:
    """Return what `helm template` prints for a chart and ``values`` (YAML); if it ``fails``, its error."""
    where = ["--namespace", NAMESPACE, "--kube-version", kubernetes, "--values", "-"]
    return _run([program("helm"), "template", name, str(charts / name), *where], values, fails=fails)


def program(name: str) -> str:
    """Return the path of helm or helmfile; without it, the test fails with the command that installs it."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not on PATH; next: make doctor (it prints how to install it; offline: make airgap)")
    return path


def _run(command: list[str], text: str = "", *, fails: bool = False, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, input=text, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    assert bool(done.returncode) is fails, f"{' '.join(command)}\n{done.stderr[-3000:]}"
    return done.stderr if fails else done.stdout


def _documents(text: str) -> Iterator[Object]:
    return (document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document)  # five times as fast


def name_of(one: Object) -> str:
    """Return kind and name, for messages."""
    return f"{one['kind']}/{one['metadata']['name']}"


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Return the objects of these kinds."""
    return [one for one in objects if one["kind"] in kinds]


def pods(objects: tuple[Object, ...]) -> list[tuple[str, Object]]:
    """Return each pod or pod template with the name of its object."""
    found = []
    for one in objects:
        match one["kind"]:
            case "Pod":
                found.append((name_of(one), one))
            case "Deployment" | "StatefulSet" | "Job":
                found.append((name_of(one), one["spec"]["template"]))
            case "CronJob":
                found.append((name_of(one), one["spec"]["jobTemplate"]["spec"]["template"]))
            case "ConfigMap" if one["metadata"]["name"] == "batch-steps":
                found += [(f"{name_of(one)} {file}", yaml.safe_load(text)) for file, text in one["data"].items()]
            case "SparkApplication":
                roles = ("driver", "executor")
                found += [(f"{name_of(one)} {role}", one["spec"][role]["template"]) for role in roles]
    return found


def steps(objects: tuple[Object, ...]) -> dict[str, Object]:
    """Return the Pods of the batch's steps by the step's name, from the ConfigMap for Airflow."""
    prefix = "ConfigMap/batch-steps "
    found = [(name, pod) for name, pod in pods(objects) if name.startswith(prefix)]
    return {name.removeprefix(prefix).removesuffix(".yaml"): pod for name, pod in found}


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod, in the order in which they start."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
