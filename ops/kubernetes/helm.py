"""Helm's releases in the namespace, read from helm's Secrets, and the recovery of pending ones.

A killed helm leaves its release ``pending-…``, and every later helm fails with "another operation is in progress". Only
one ``make up`` runs at a time, so a pending release is rolled back to its last deployed revision, otherwise to its last
failed one, and is uninstalled if it has neither.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.common.external_programs import run
from ops.common.settings import NAMESPACE

# The releases of helmfile.yaml; other releases in the namespace are left alone.
RELEASES = (
    "namespace",
    "strimzi-operator",
    "kafka",
    "postgres",
    "minio",
    "versitygw",
    "migrate",
    "simulator",
    "producer",
    "consumer",
    "publisher",
    "api",
    "spark-operator",
    "spark-candles",
    "monitoring",
    "superset",
    "batch",
    "airflow",
)
_PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
_SECONDS = 300


@dataclass(frozen=True)
class Revision:
    """One stored revision of a release."""

    release: str
    number: int
    status: str


@dataclass(frozen=True)
class Recovery:
    """The recovery of a pending release: roll back to revision ``to``, or uninstall if that is None."""

    release: str
    status: str
    to: int | None

    @property
    def summary(self) -> str:
        """Return the action and its reason in one line."""
        done = "uninstalling it" if self.to is None else f"rolling back to revision {self.to}"
        return f"release {self.release} was left {self.status}: {done}"

    def command(self, context: str) -> list[str]:
        """Return helm's command line."""
        if self.to is None:
            action = ["uninstall", self.release, "--no-hooks", "--wait"]
        else:
            action = ["rollback", self.release, str(self.to), "--no-hooks"]
        return ["helm", *action, *_where(context)]


def revisions(secrets: Iterable[Mapping[str, Any]]) -> list[Revision]:
    """Return the revisions that helm's Secrets describe in their labels."""
    labels = [secret["metadata"].get("labels", {}) for secret in secrets]
    return [
        Revision(label["name"], int(label["version"]), label["status"])
        for label in labels
        if label.get("owner") == "helm"
    ]


def newest(found: Iterable[Revision]) -> dict[str, Revision]:
    """Return the newest revision of each release, ordered by name."""
    latest: dict[str, Revision] = {}
    for revision in sorted(found, key=lambda one: (one.release, one.number)):
        latest[revision.release] = revision
    return latest


def recoveries(found: Iterable[Revision]) -> list[Recovery]:
    """Return the recovery of each of our releases that is pending."""
    stored = list(found)
    needed = []
    for release, last in newest(stored).items():
        if release not in RELEASES or last.status not in _PENDING:
            continue
        ended = {one.number: one.status for one in stored if one.release == release and one.status not in _PENDING}
        good = [number for number, status in ended.items() if status in {"deployed", "superseded"}]
        target = max(good or ended, default=None) if last.status != "uninstalling" else None
        needed.append(Recovery(release, last.status, target))
    return needed


def recover(recovery: Recovery, context: str) -> None:
    """Execute a recovery.

    Raises:
        Problem: helm fails.
    """
    fix = f"helm history {recovery.release} {' '.join(_where(context))}"
    run(*recovery.command(context), fix=fix, timeout=_SECONDS)


def _where(context: str) -> list[str]:
    return ["--kube-context", context, "--namespace", NAMESPACE]


def has_diff() -> bool:
    """Return whether the helm-diff plugin, which ``helmfile diff`` needs, is installed."""
    program = shutil.which("helm")
    if program is None:
        return False
    done = subprocess.run([program, "plugin", "list"], check=False, capture_output=True, text=True)
    return any(line.split()[:1] == ["diff"] for line in done.stdout.splitlines())
