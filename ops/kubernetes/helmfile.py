"""Run helmfile on one environment and one context, and report progress while it runs."""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ops.common import external_programs
from ops.common.errors import Problem
from ops.common.external_programs import last_lines, path_of
from ops.common.paths import ROOT
from ops.common.processes import stop
from ops.common.settings import KIND_CONTEXT, Environment
from ops.platform import make_command

FILE = ROOT / "helmfile.yaml"
# `apply` compares with the last revision first, and skips a failed release whose manifests did not change: only a first
# installation uses it.
INSTALL, UPGRADE = "apply", "sync"
# The variables that environments/variables.yaml.gotmpl reads, each with its default where all environments share one.
VARIABLES: dict[str, str | None] = {
    "KUBE_CONTEXT": KIND_CONTEXT,
    "IMAGE_REGISTRY": None,
    "FEED": None,
    "VARIANT": "python",
    "OBJECT_STORE_SERVER": "minio",
    "SYMBOLS": None,
    "BINANCE_WS_URL": None,
    "BINANCE_REST_URL": None,
    "MONITORING": None,
    "GRAFANA": None,
    "SIM_TRADES_PER_MINUTE": None,
    "KAFKA_PORT": "9092",
    "AIRFLOW_PORT": "8080",
    "API_PORT": "8000",
    "SUPERSET_PORT": "8088",
    "MINIO_PORT": "9000",
}
_POLL_SECONDS = 2.0
_GRACE_SECONDS = 20.0
_VALUES_SECONDS = 120.0


def variables(context: str, variant: str, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the environment variables of helmfile for one cluster and one variant.

    helmfile fails where a values file, even a template, changes the context or the variant, because the template
    environments/cluster.yaml.gotmpl compares them with these variables.
    """
    return {"KUBE_CONTEXT": context, "VARIANT": variant, **{name: str(number) for name, number in ports.items()}}


def command(environment: Environment, context: str, *action: str, own: str = "") -> list[str]:
    """Return the command line, to be run in the checkout's root; for kind it is the plain one that a user types.

    ``own`` is the user's values file; empty: none. Only kind binds its NodePorts to loopback: on another cluster they
    would open plaintext ports on all nodes, so they are disabled there.
    """
    theirs = ("--kube-context", context, "--state-values-set", "expose.enabled=false")
    mine = ("--state-values-file", str(own_values(own))) if own else ()
    where = () if context == KIND_CONTEXT else theirs
    return [path_of("helmfile"), "-e", environment, *mine, *where, *action]


def shown(line: Sequence[str], env: Mapping[str, str]) -> str:
    """Return ``line`` as a user types it in the checkout's root, with the variables that differ from their defaults."""
    given = {name: env.get(name, os.environ.get(name)) for name in VARIABLES}
    variables = [f"{name}={shlex.quote(value)}" for name, value in given.items() if value and value != VARIABLES[name]]
    return " ".join([*variables, "helmfile", shlex.join(line[1:])])


def own_values(file: str) -> Path:
    """Return the absolute path of the user's values file.

    Raises:
        Problem: the file is missing.
    """
    path = (ROOT / Path(file).expanduser()).resolve()
    if not path.is_file():
        raise Problem(
            "the values file is missing", f"{path} does not exist", "name an existing one: make up VALUES=mine.yaml"
        )
    return path


def check_own_values(file: Path, context: str) -> None:
    """Check that the user's values set neither the variant nor another context: both are set by variables.

    Only a YAML file is read here. helmfile renders a template (``.gotmpl``) and fails likewise; see :func:`variables`.

    Raises:
        Problem: the file sets one of them.
    """
    content = yaml.safe_load(file.read_text()) if file.suffix in (".yaml", ".yml") else None
    if not isinstance(content, dict):
        return
    reasons = {}
    if "variant" in content:
        reasons["variant"] = ("VARIANT", "the variable VARIANT also selects the images to build")
    if content.get("kubeContext", context) != context:
        reasons["kubeContext"] = ("KUBE_CONTEXT", f"make up works on {context}, which the variable KUBE_CONTEXT names")
    for key, (variable, cause) in reasons.items():
        fix = f"remove that line, and run: make up {variable}={content[key]}"
        raise Problem(f"{file.name} sets {key}: {content[key]}", cause, fix)


def values(
    environment: Environment, context: str, env: Mapping[str, str], *releases: str, own: str = ""
) -> dict[str, dict[str, Any]]:
    """Return the values of each of ``releases``, without asking the cluster.

    Raises:
        Problem: helmfile fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        chosen = (part for name in releases for part in ("--selector", f"name={name}"))
        files = f"{folder}/{{{{ .Release.Name }}}}.yaml"
        line = command(environment, context, "write-values", *chosen, "--output-file-template", files, own=own)
        files_read = f"environments/ or {own}" if own else "environments/"
        again = shown(command(environment, context, "write-values", own=own), env)
        fix = f"fix {files_read}; to see the error: {again}"
        external_programs.run(*line, env=env, fix=fix, timeout=_VALUES_SECONDS)
        return {name: yaml.safe_load(Path(folder, f"{name}.yaml").read_text()) for name in releases}


def objects(environment: Environment, context: str, env: Mapping[str, str], own: str = "") -> str:
    """Return the objects of our own releases as YAML, without asking the cluster: its Secrets have random passwords.

    Raises:
        Problem: helmfile fails.
    """
    line = command(environment, context, "--quiet", "--selector", "tier=platform", "template", own=own)
    again = shown(command(environment, context, "template", own=own), env)
    return external_programs.run(*line, env=env, fix=f"to see the error: {again}", timeout=_VALUES_SECONDS)


def run(
    line: list[str], env: Mapping[str, str], log: Path, *, limit: float, watch: Callable[[], None] | None = None
) -> None:
    """Run helmfile with its output in ``log``, and call ``watch`` every two seconds until it exits.

    Raises:
        Problem: helmfile fails, or takes longer than ``limit`` seconds. The process has always ended on return.
    """
    deadline = time.monotonic() + limit
    with log.open("w") as output:
        process = subprocess.Popen(
            line, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    over = f"helmfile was stopped after {limit / 60:.0f} minutes"
                    raise Problem("the releases are not ready in time", over, make_command.make_up())
                if watch is not None:
                    watch()
                _wait(process, _POLL_SECONDS)
        finally:
            stop(process, grace_seconds=_GRACE_SECONDS)
    if process.returncode != 0:
        fix = f"less {log}; then {make_command.make_up()} again continues from here"
        raise Problem("helmfile failed", errors(log.read_text()), fix)


def errors(output: str) -> str:
    """Return the error lines of helmfile's output, or its last lines if there is none."""
    lines = [line.strip() for line in output.splitlines()]
    relevant = [line for line in lines if line.lower().startswith(("error:", "error "))]
    return "\n".join(dict.fromkeys(relevant)) or last_lines(output, 8)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
