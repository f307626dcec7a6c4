"""Derive from a pod's status and events why it failed or is not ready yet. Pure: the API's objects as dictionaries.

Only the standard library is imported: the DAG uses this module in Airflow's image, ``ops`` on the user's machine.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

_IMAGE_PULL_FAILED = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_EVICTED = {"Evicted", "Preempting", "NodeLost"}
_CONTAINER_NOT_CREATED = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def failure_reason(pod: Object | None, events: Iterable[Object], *, timeout: int, startup: int) -> str:
    """Return why a step's pod failed, in words; an empty string where its status does not show a reason.

    Args:
        pod: the pod as it was last read; None if it no longer exists.
        events: the pod's events, the newest last.
        timeout: seconds that the step may run.
        startup: seconds that the pod may take until its container runs.
    """
    if pod is None:
        return "its pod is gone: it was deleted, or its node was lost"
    status = pod.get("status") or {}
    if reason := _termination(status, timeout) or _failed_container(pod, status):
        return reason
    if status.get("phase") == "Pending":
        return _not_started(status, list(events), startup)
    return "it still ran when the try was ended" if status.get("phase") == "Running" else ""


def not_ready_reason(pod: Object) -> str:
    """Return why a pod of any kind is not ready yet, as ``container: reason: message`` without the empty parts.

    The first container that waits or failed counts, init containers first; then the scheduler's message.
    """
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason") != "PodInitializing":
            return _joined(container["name"], waiting.get("reason") or "waiting", waiting.get("message"))
        if terminated and terminated.get("exitCode") != 0:
            return _joined(container["name"], f"exit code {terminated.get('exitCode')}", terminated.get("message"))
    if unscheduled := _unscheduled(status):
        return _joined(unscheduled.get("reason") or "waiting", unscheduled.get("message"))
    running = [one["name"] for one in containers if "running" in (one.get("state") or {}) and not one.get("ready")]
    return f"{', '.join(running)} runs, not ready yet" if running else str(status.get("reason") or "starting")


def _termination(status: Object, timeout: int) -> str:
    """Return why Kubernetes terminated the whole pod, if it did."""
    reason = status.get("reason")
    if reason == "DeadlineExceeded":
        return f"timed out: it did not finish within {timeout} s (it hung, or had too much to do)"
    return f"evicted from its node ({reason}): {_message(status)}" if reason in _EVICTED else ""


def _failed_container(pod: Object, status: Object) -> str:
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated:
            reason = _exit_reason(pod, container, terminated)
        else:
            reason = _start_failure(container, state.get("waiting") or {})
        if reason:
            return reason
    return ""


def _exit_reason(pod: Object, container: Object, terminated: Object) -> str:
    if terminated.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container.get("name", ""))
        return f"OOMKilled: it needed more memory than its limit{f' of {limit}' if limit else ''}"
    if terminated.get("exitCode"):
        return f"it ended with exit code {terminated['exitCode']}"
    return ""


def _start_failure(container: Object, waiting: Object) -> str:
    reason = waiting.get("reason")
    if reason in _IMAGE_PULL_FAILED:
        return f"its image {container.get('image')} cannot be pulled ({reason}): {_message(waiting)}"
    if reason in _CONTAINER_NOT_CREATED:
        return f"its container cannot be created ({reason}): {_message(waiting)}"
    return ""


def _not_started(status: Object, events: list[Object], startup: int) -> str:
    if unscheduled := _unscheduled(status):
        return f"no node could take it within {startup} s: {_message(unscheduled)}"
    warnings = [event for event in events if event.get("type") == "Warning"]
    last = f": {_message(warnings[-1])}" if warnings else ""
    return f"its pod did not start within {startup} s{last}"


def _unscheduled(status: Object) -> Object | None:
    """Return the condition with which the scheduler reports that no node fits, or None."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            found: Object = condition
            return found
    return None


def _memory_limit(pod: Object, container_name: str) -> str:
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == container_name:
            return str(((container.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _message(holder: Object) -> str:
    return " ".join(str(holder.get("message") or "no message").split())


def _joined(*parts: str | None) -> str:
    return ": ".join(" ".join(part.split()) for part in parts if part)
