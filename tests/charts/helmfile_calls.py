"""Record what helmfile runs in a situation, and in which order, with recording stubs of helm and kubectl."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ops.kubernetes.helmfile import VARIABLES
from tests.charts.rendering import program
from tests.servers import ROOT

# The upstream charts are on hosts that a test must not contact, so a local chart replaces each.
_LOCAL = "strimzi.chart=charts/common,sparkOperator.chart=charts/common"
_RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$RECORDING"
if [ "$1" = version ]; then echo v3.22.0+g0000000; fi
"""
_SECONDS = 120

Groups = tuple[frozenset[str], ...]


@cache
def needs(situation: str, *values: str, **variables: str) -> dict[str, frozenset[str]]:
    """Return which releases each installed release waits for, directly or through another, with state ``values`` set.

    helmfile's own table also lists releases that are not installed.
    """
    lines = _helmfile(situation, values, variables, "show-dag").splitlines()[1:]
    direct = {}
    for line in lines:
        _, release, *dependencies = line.replace(",", " ").split()
        direct[_name(release)] = frozenset(map(_name, dependencies))

    def closure(release: str) -> frozenset[str]:
        return direct[release].union(*map(closure, direct[release]))

    return {release: closure(release) for release in direct}


@cache
def groups(situation: str) -> Groups:
    """Return the groups of releases in the order in which helmfile syncs them; a group is synced at once."""
    found: dict[str, set[str]] = {}
    for line in _helmfile(situation, (), {}, "show-dag").splitlines()[1:]:
        group, release, *_ = line.split()
        found.setdefault(group, set()).add(_name(release))
    return tuple(frozenset(its) for its in found.values())


def _name(release: str) -> str:
    return release.rpartition("/")[2]


@cache
def commands(situation: str, *options: str, **variables: str) -> tuple[tuple[str, ...], ...]:
    """Return what a first ``helmfile sync`` runs, one release after the other: each command's words, program first."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "recording")
        recording.touch()
        for name in ("helm", "kubectl"):
            recorder = Path(folder, name)
            recorder.write_text(_RECORDER)
            recorder.chmod(0o755)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        variables |= {"PATH": path, "RECORDING": str(recording)}
        _helmfile(situation, (), variables, *options, "sync", "--concurrency", "1")
        return tuple(tuple(line.split()) for line in recording.read_text().splitlines())


def _helmfile(situation: str, values: Sequence[str], variables: dict[str, str], *arguments: str) -> str:
    name, _, variant = situation.partition(" ")
    inherited = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    command = [program("helmfile"), "-e", name, "--state-values-set", ",".join([_LOCAL, *values])]
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env={**inherited, "VARIANT": variant, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stderr[-3000:]}"
    assert "WARNING" not in done.stderr, done.stderr  # a need on a release that is not installed
    return done.stdout
