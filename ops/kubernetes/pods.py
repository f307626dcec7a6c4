"""Pods and their newest events, from the API's objects as plain dictionaries. Pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crypto_analytics.batch.pod_diagnosis import not_ready_reason

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod's state. ``age`` is in seconds; ``reason``: why it is not ready, empty if it is ready or has succeeded."""

    name: str
    component: str
    state: str
    ready: int
    containers: int
    restarts: int
    age: float
    reason: str

    @property
    def is_ready(self) -> bool:
        """Whether the pod is ready, or has succeeded."""
        return not self.reason


def pods(items: Iterable[Object], now: datetime | None = None) -> list[Pod]:
    """Return the pods, ordered by name."""
    moment = now or datetime.now(UTC)
    return sorted((_pod(item, moment) for item in items), key=lambda pod: pod.name)


def _pod(item: Object, now: datetime) -> Pod:
    meta, status = item["metadata"], item.get("status", {})
    statuses = status.get("containerStatuses", [])
    total = len(item.get("spec", {}).get("containers", [])) or len(statuses)
    ready = sum(1 for one in statuses if one.get("ready"))
    state = "Terminating" if "deletionTimestamp" in meta else str(status.get("phase", "Unknown"))
    return Pod(
        name=meta["name"],
        component=component(meta),
        state=state,
        ready=ready,
        containers=total,
        restarts=sum(one.get("restartCount", 0) for one in statuses),
        age=(now - datetime.fromisoformat(meta["creationTimestamp"])).total_seconds(),
        reason="" if state == "Succeeded" or (ready == total and state == "Running") else not_ready_reason(item),
    )


def component(meta: Object) -> str:
    """Return the component that an object belongs to, from its labels."""
    labels = meta.get("labels") or {}
    return str(labels.get("app.kubernetes.io/name") or labels.get("app.kubernetes.io/component") or meta["name"])


@dataclass(frozen=True)
class Event:
    """The newest event of the object named ``about``; ``at`` is its time, to the second."""

    about: str
    reason: str
    message: str
    is_warning: bool
    at: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def newest_events(items: Iterable[Object]) -> dict[str, Event]:
    """Return each object's newest event, by the object's name.

    A warning outranks the normal event of the same moment ("Pulled" beside "BackOff").
    """
    found: dict[str, Event] = {}
    for item in sorted(items, key=lambda one: (_when(one), one.get("type") == "Warning")):
        name = item["involvedObject"]["name"]
        message = " ".join(str(item.get("message", "")).split())
        found[name] = Event(name, item.get("reason", ""), message, item.get("type") == "Warning", _when(item))
    return found


def last_warnings(events: Iterable[Event], count: int) -> list[Event]:
    """Return the ``count`` newest warnings, oldest first."""
    return sorted((event for event in events if event.is_warning), key=lambda event: event.at)[-count:]


def _when(event: Object) -> str:
    series = event.get("series") or {}
    moment = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    # To the second: only some times have microseconds.
    return str(moment or event["metadata"].get("creationTimestamp") or "")[:19]
