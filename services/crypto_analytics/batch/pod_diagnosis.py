"""Why a step's pod did not succeed, in words that a person understands. Pure: the API's objects as plain dictionaries.

Only the standard library is imported, so that the DAG can use it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

_NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_PUT_OUT = {"Evicted", "Preempting", "NodeLost"}
_NOT_MADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def failure_reason(pod: Object | None, events: Iterable[Object], *, timeout: int, startup: int) -> str:
    """Return why ``pod`` (as it was last seen; None: it is gone) failed; empty where it does not tell.

    ``timeout`` and ``startup`` are the seconds that the step may run, and that its pod may take to begin.
    """
    if pod is None:
        return "its pod is gone: it was deleted, or its node was lost"
    status = pod.get("status") or {}
    if said := _put_out(status, timeout) or _containers(pod, status):
        return said
    if status.get("phase") == "Pending":
        return _pending(status, list(events), startup)
    return "it still ran when the try was ended" if status.get("phase") == "Running" else ""


def _put_out(status: Object, timeout: int) -> str:
    reason = status.get("reason")
    if reason == "DeadlineExceeded":
        return f"timed out: it was not done after {timeout} s (it hung, or had too much to do)"
    return f"its node put it out ({reason}): {_words(status.get('message'))}" if reason in _PUT_OUT else ""


def _containers(pod: Object, status: Object) -> str:
    for one in status.get("containerStatuses") or []:
        state = one.get("state") or {}
        ended = state.get("terminated")
        if said := _ended(pod, one, ended) if ended else _waiting(one, state.get("waiting") or {}):
            return said
    return ""


def _ended(pod: Object, container: Object, ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod, container.get("name", ""))
        return f"OOMKilled: it needed more memory than its limit{f' of {limit}' if limit else ''}"
    if ended.get("exitCode"):
        return f"it ended with exit code {ended['exitCode']}"
    return ""


def _waiting(container: Object, waiting: Object) -> str:
    reason = waiting.get("reason")
    if reason in _NO_IMAGE:
        return f"its image {container.get('image')} cannot be pulled ({reason}): {_words(waiting.get('message'))}"
    if reason in _NOT_MADE:
        return f"its container cannot be made ({reason}): {_words(waiting.get('message'))}"
    return ""


def _pending(status: Object, events: list[Object], startup: int) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"no node could take it within {startup} s: {_words(condition.get('message'))}"
    warnings = [event for event in events if event.get("type") == "Warning"]
    last = f": {_words(warnings[-1].get('message'))}" if warnings else ""
    return f"its pod did not start within {startup} s{last}"


def _limit(pod: Object, name: str) -> str:
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == name:
            return str(((container.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _words(text: object) -> str:
    return " ".join(str(text or "no message").split())
