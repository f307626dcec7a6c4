"""Progress of an installation: which release is being installed, which resources and pods are not ready, and why."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ops.common.units import duration
from ops.kubernetes import custom_resources
from ops.kubernetes.custom_resources import CustomResource
from ops.kubernetes.helm import Revision, newest, revisions
from ops.kubernetes.kube_api import ApiUnavailable, KubeApi
from ops.kubernetes.pods import Event, Pod, newest_events, pods

_MAX_WIDTH = 160  # characters
_QUIET_SECONDS = 15.0  # between two prints where there is no terminal
_IN_PROGRESS = {"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"}


@dataclass(frozen=True)
class ClusterSnapshot:
    """Releases, the operators' resources, pods and newest events at one moment."""

    releases: dict[str, Revision] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)
    resources: list[CustomResource] = field(default_factory=list)


def snapshot(cluster: KubeApi) -> ClusterSnapshot | None:
    """Read a snapshot of the cluster; return None while its API does not answer."""
    try:
        releases = newest(revisions(cluster.helm_secrets()))
        events = newest_events(cluster.items("events"))
        return ClusterSnapshot(releases, pods(cluster.items("pods")), events, custom_resources.read(cluster))
    except ApiUnavailable:
        return None


def headline(observed: ClusterSnapshot) -> str:
    """Return one line with the number of deployed releases and the names of pending and failed ones."""
    in_progress = [name for name, revision in observed.releases.items() if revision.status in _IN_PROGRESS]
    done = sum(revision.status == "deployed" for revision in observed.releases.values())
    failed = [name for name, revision in observed.releases.items() if revision.status == "failed"]
    parts = [f"{done} releases deployed"]
    if in_progress:
        parts.append(f"in progress: {', '.join(in_progress)}")
    if failed:
        parts.append(f"failed: {', '.join(failed)}")
    return "; ".join(parts)


def troubles(observed: ClusterSnapshot) -> list[str]:
    """Return a line for each resource and pod that is not ready, with the reason; for a pod also its newest event."""
    lines = [shortened(line) for line in custom_resources.unready_lines(observed.resources)]
    for pod in observed.pods:
        if pod.is_ready:
            continue
        event = observed.events.get(pod.name)
        reason = pod.reason
        if event and event.message not in reason and (event.is_warning or reason == "starting"):
            reason = f"{reason} ({event})"
        lines.append(shortened(f"{pod.name} {pod.ready}/{pod.containers}: {reason}"))
    return lines


def shortened(text: str, width: int = _MAX_WIDTH) -> str:
    """Return ``text`` in at most ``width`` characters; an ellipsis replaces the rest."""
    return text if len(text) <= width else text[: width - 1] + "…"


class ReleaseProgress:
    """Displays snapshots: repainted in place on a terminal, otherwise printed when something has changed."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._started = clock()
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._shown: list[str] = []
        self._shown_at = self._started

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, observed: ClusterSnapshot | None) -> None:
        """Display one snapshot; ``None`` means that the API does not answer."""
        lines = ["the API does not answer"] if observed is None else [headline(observed), *troubles(observed)]
        elapsed = duration(self._clock() - self._started)
        if self._live:
            texts = [Text(f"{elapsed:>7}  {lines[0]}"), *(Text(f"         {line}") for line in lines[1:])]
            self._live.update(Group(*texts), refresh=True)
            return
        now = self._clock()
        if lines != self._shown and (lines[:1] != self._shown[:1] or now - self._shown_at >= _QUIET_SECONDS):
            for number, line in enumerate(lines):
                self._console.print(f"{elapsed if not number else '':>7}  {line}", markup=False, soft_wrap=True)
            self._shown, self._shown_at = lines, now
