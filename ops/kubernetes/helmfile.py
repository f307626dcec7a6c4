"""Run helmfile on one environment and one context, while somebody watches what it does to the cluster."""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ops.common import commands
from ops.common.commands import last_lines, path_of
from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.common.processes import stop
from ops.common.settings import KIND_CONTEXT, Environment
from ops.platform import make_command

FILE = ROOT / "helmfile.yaml"
# `apply` compares with the last revision first, and skips a failed release whose manifests did not change: only a first
# installation uses it.
INSTALL, UPGRADE = "apply", "sync"
# The variables that environments/variables.yaml.gotmpl reads, and what each of them is without being set, where that is
# one value everywhere.
VARIABLES: dict[str, str | None] = {
    "KUBE_CONTEXT": KIND_CONTEXT,
    "IMAGE_REGISTRY": None,
    "FEED": None,
    "VARIANT": "python",
    "SYMBOLS": None,
    "BINANCE_WS_URL": None,
    "BINANCE_REST_URL": None,
    "SIM_TRADES_PER_MINUTE": None,
    "KAFKA_PORT": "9092",
    "AIRFLOW_PORT": "8080",
}
_LOOK_SECONDS = 2.0
_END_SECONDS = 20.0
_VALUES_SECONDS = 120.0


def command(environment: Environment, context: str, *action: str, own: str = "") -> list[str]:
    """Return the command line, to be run in the checkout's root: on kind, the one that its user would type.

    ``own`` is a file of the user's values; empty: none. Only kind's NodePorts are on loopback: in another cluster they
    would open plaintext ports on all nodes.
    """
    theirs = ("--kube-context", context, "--state-values-set", "expose.enabled=false")
    mine = ("--state-values-file", str(own_values(own))) if own else ()
    where = () if context == KIND_CONTEXT else theirs
    return [path_of("helmfile"), "-e", environment, *mine, *where, *action]


def shown(line: Sequence[str], env: Mapping[str, str]) -> str:
    """Return ``line`` as it can be typed in the checkout's root, with the variables that count and are not as usual."""
    given = {name: env.get(name) or os.environ.get(name) for name in VARIABLES}
    variables = [f"{name}={shlex.quote(value)}" for name, value in given.items() if value and value != VARIABLES[name]]
    return " ".join([*variables, "helmfile", shlex.join(line[1:])])


def own_values(file: str) -> Path:
    """Return where the user's values are.

    Raises:
        Problem: there is no such file.
    """
    path = (ROOT / Path(file).expanduser()).resolve()
    if not path.is_file():
        raise Problem(
            "the file of your values is missing", f"{path} is none", "name it, as in: make up VALUES=mine.yaml"
        )
    return path


def refuse_own(file: Path, context: str) -> None:
    """Check that the user's values set neither the variant nor another cluster: both have a variable.

    Raises:
        Problem: they set one of them.
    """
    content = yaml.safe_load(file.read_text()) if file.suffix in (".yaml", ".yml") else None
    if not isinstance(content, dict):
        return
    reasons = {}
    if "variant" in content:
        reasons["variant"] = ("VARIANT", "images and hints follow the variable VARIANT")
    if content.get("kubeContext", context) != context:
        reasons["kubeContext"] = ("KUBE_CONTEXT", f"make up works on {context}, as the variable KUBE_CONTEXT names it")
    for key, (variable, cause) in reasons.items():
        fix = f"remove that line, and say it: make up {variable}={content[key]}"
        raise Problem(f"{file.name} says {key}: {content[key]}", cause, fix)


def values(
    environment: Environment, context: str, env: Mapping[str, str], *releases: str, own: str = ""
) -> dict[str, dict[str, Any]]:
    """Return the values that each of ``releases`` would get; asks no cluster.

    Raises:
        Problem: helmfile fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        chosen = (part for name in releases for part in ("--selector", f"name={name}"))
        files = f"{folder}/{{{{ .Release.Name }}}}.yaml"
        line = command(environment, context, "write-values", *chosen, "--output-file-template", files, own=own)
        shown = " ".join(command(environment, context, "write-values", own=own))
        commands.run(*line, env=env, fix=f"mend environments/; to see it: {shown}", timeout=_VALUES_SECONDS)
        return {name: yaml.safe_load(Path(folder, f"{name}.yaml").read_text()) for name in releases}


def run(
    line: list[str], env: Mapping[str, str], log: Path, *, limit: float, watch: Callable[[], None] | None = None
) -> None:
    """Run helmfile to its end with its output in ``log``; call ``watch`` every other second meanwhile.

    Raises:
        Problem: it fails, or takes longer than ``limit`` seconds. It is always ended before this returns.
    """
    deadline = time.monotonic() + limit
    with log.open("w") as output:
        process = subprocess.Popen(
            line, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    over = f"{limit / 60:.0f} minutes are over"
                    raise Problem("the releases are not ready in time", over, make_command.make_up())
                if watch is not None:
                    watch()
                _wait(process, _LOOK_SECONDS)
        finally:
            stop(process, grace_seconds=_END_SECONDS)
    if process.returncode != 0:
        fix = f"less {log}; then {make_command.make_up()} again goes on from here"
        raise Problem("helmfile failed", errors(log.read_text()), fix)


def errors(output: str) -> str:
    """Return the lines of helmfile's output that tell the error, without its noise."""
    lines = [line.strip() for line in output.splitlines()]
    telling = [line for line in lines if line.lower().startswith(("error:", "error "))]
    return "\n".join(dict.fromkeys(telling)) or last_lines(output, 8)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
