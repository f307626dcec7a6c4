"""What is shown while the releases come up: which release, which pod is not ready and why, and for how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ops.common.units import duration
from ops.kubernetes.cluster import ApiUnavailable, Cluster
from ops.kubernetes.helm import Revision, newest, revisions
from ops.kubernetes.pods import Event, Pod, newest_events, pods

_WIDE = 160  # characters of a reason
_QUIET_SECONDS = 15.0  # between lines where there is no terminal
_AT_WORK = {"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"}


@dataclass(frozen=True)
class ClusterSnapshot:
    """One look at the cluster."""

    releases: dict[str, Revision] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)


def snapshot(cluster: Cluster) -> ClusterSnapshot | None:
    """Return what the cluster shows; None where its API is just away."""
    try:
        releases = newest(revisions(cluster.helm_secrets()))
        return ClusterSnapshot(releases, pods(cluster.items("pods")), newest_events(cluster.items("events")))
    except ApiUnavailable:
        return None


def headline(sight: ClusterSnapshot) -> str:
    """Say how far the releases are: which are in work, how many are done."""
    at_work = [name for name, revision in sight.releases.items() if revision.status in _AT_WORK]
    done = sum(revision.status == "deployed" for revision in sight.releases.values())
    failed = [name for name, revision in sight.releases.items() if revision.status == "failed"]
    parts = [f"{done} releases deployed"]
    if at_work:
        parts.append(f"at work on {', '.join(at_work)}")
    if failed:
        parts.append(f"failed: {', '.join(failed)}")
    return "; ".join(parts)


def troubles(sight: ClusterSnapshot) -> list[str]:
    """Return a line for each pod that is not ready: why, and its newest event where that tells more."""
    lines = []
    for pod in sight.pods:
        if pod.is_well:
            continue
        event = sight.events.get(pod.name)
        reason = pod.why
        if event and event.message not in reason and (event.is_warning or reason == "starting"):
            reason = f"{reason} ({event})"
        lines.append(_cut(f"{pod.name} {pod.ready}/{pod.containers}: {reason}"))
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"


class ReleaseProgress:
    """Shows looks at the cluster: repainted on a terminal, elsewhere a line whenever something changes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._started = clock()
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._told: list[str] = []
        self._told_at = self._started

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, sight: ClusterSnapshot | None) -> None:
        """Show one look; ``None`` is shown as an API that does not answer."""
        lines = ["the API does not answer just now"] if sight is None else [headline(sight), *troubles(sight)]
        elapsed = duration(self._clock() - self._started)
        if self._live:
            texts = [Text(f"{elapsed:>7}  {lines[0]}"), *(Text(f"         {line}") for line in lines[1:])]
            self._live.update(Group(*texts), refresh=True)
            return
        now = self._clock()
        if lines != self._told and (lines[:1] != self._told[:1] or now - self._told_at >= _QUIET_SECONDS):
            for number, line in enumerate(lines):
                self._console.print(f"{elapsed if not number else '':>7}  {line}", markup=False, soft_wrap=True)
            self._told, self._told_at = lines, now
