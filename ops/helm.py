"""Helm's releases in the namespace, read from the Secrets that helm keeps them in, and how to mend one left half done.

A helm that was killed leaves its release ``pending-…`` and every later one refuses with "another operation is in
progress". Only one ``make up`` runs at a time, so such a release is rolled back to what was deployed last, or removed
if it never was.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.programs import run
from ops.settings import NAMESPACE

_HALF_DONE = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
_SECONDS = 300


@dataclass(frozen=True)
class Revision:
    """One stored revision of a release."""

    release: str
    number: int
    status: str


@dataclass(frozen=True)
class Recovery:
    """What frees a release that was left half done: back to revision ``to``, or gone where that is None."""

    release: str
    status: str
    to: int | None

    @property
    def story(self) -> str:
        """Say what is done and why."""
        done = "removing it" if self.to is None else f"going back to revision {self.to}"
        return f"release {self.release} was left {self.status}: {done}"


def revisions(secrets: Iterable[Mapping[str, Any]]) -> list[Revision]:
    """Return the revisions from helm's Secrets (their labels tell all)."""
    labels = [secret["metadata"].get("labels", {}) for secret in secrets]
    return [
        Revision(label["name"], int(label["version"]), label["status"])
        for label in labels
        if label.get("owner") == "helm"
    ]


def newest(found: Iterable[Revision]) -> dict[str, Revision]:
    """Return the newest revision of each release, in order of their names."""
    latest: dict[str, Revision] = {}
    for revision in sorted(found, key=lambda one: (one.release, one.number)):
        latest[revision.release] = revision
    return latest


def recoveries(found: Iterable[Revision]) -> list[Recovery]:
    """Return what has to be done before helm can work on every release again."""
    stored = list(found)
    needed = []
    for release, last in newest(stored).items():
        if last.status not in _HALF_DONE:
            continue
        good = [one.number for one in stored if one.release == release and one.status in {"deployed", "superseded"}]
        target = max(good) if good and last.status != "uninstalling" else None
        needed.append(Recovery(release, last.status, target))
    return needed


def recover(recovery: Recovery, context: str) -> None:
    """Do what ``recovery`` says.

    Raises:
        Problem: helm refuses.
    """
    where = ["--kube-context", context, "--namespace", NAMESPACE]
    if recovery.to is None:
        command = ["helm", "uninstall", recovery.release, "--no-hooks", "--wait"]
    else:
        command = ["helm", "rollback", recovery.release, str(recovery.to), "--no-hooks"]
    run(*command, *where, mend=f"helm history {recovery.release} {' '.join(where)}", timeout=_SECONDS)


def has_diff() -> bool:
    """Whether the helm-diff plugin, which ``helmfile apply`` needs, is installed."""
    program = shutil.which("helm")
    if program is None:
        return False
    done = subprocess.run([program, "plugin", "list"], check=False, capture_output=True, text=True)
    return any(line.split()[:1] == ["diff"] for line in done.stdout.splitlines())
