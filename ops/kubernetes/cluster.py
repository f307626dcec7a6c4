"""Reading the cluster: what the Kubernetes API says, as plain dictionaries, and the pods in words.

Everything that decides is a pure function of those dictionaries.
"""

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import urllib3
from kubernetes import client, config

from ops.common.errors import Problem
from ops.common.settings import NAMESPACE
from ops.platform import make_command

_SECONDS = (3, 15)  # to connect, to answer
_OK = 200
_REFUSED = (401, 403)
_NOT_FOUND = 404

Object = Mapping[str, Any]


class ApiAway(Exception):
    """The API server does not answer just now."""


class Forbidden(Problem):
    """This user may not read that."""


class Cluster:
    """One cluster, through one context of the kubeconfig.

    Raises:
        Problem: the kubeconfig has no such context.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        try:
            self._api: Any = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            mend = f"{make_command.make_up()}; other clusters: kubectl config get-contexts"
            raise Problem(f"there is no cluster {context}", str(error), mend) from error

    def text(self, path: str, **query: str) -> str:
        """Return what the API answers to a GET.

        Raises:
            ApiAway: the server does not answer.
            Forbidden: this user may not read that.
            LookupError: there is no such object.
        """
        method, url, headers, *_ = self._api.param_serialize(
            "GET", path, query_params=list(query.items()), auth_settings=["BearerToken"]
        )
        try:
            answer = self._api.call_api(method, url, headers, _request_timeout=_SECONDS)
            body = str(answer.read().decode())
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiAway(f"{path}: {error}") from error
        if answer.status == _NOT_FOUND:
            raise LookupError(path)
        if answer.status in _REFUSED:
            mend = f"kubectl --context {self.context} auth can-i --list --namespace {NAMESPACE}"
            raise Forbidden(f"{path} may not be read", f"{answer.status} {answer.reason}", mend)
        if answer.status != _OK:
            raise ApiAway(f"{path}: {answer.status} {answer.reason}")
        return body

    def get(self, path: str, **query: str) -> Any:
        """Return the object that the API answers to a GET; raises what ``text`` raises."""
        return json.loads(self.text(path, **query))

    def items(self, kind: str, group: str = "api/v1", **query: str) -> list[Object]:
        """Return the objects of a kind ("pods") in the namespace."""
        return list(self.get(f"/{group}/namespaces/{NAMESPACE}/{kind}", **query)["items"])

    def secret(self, name: str) -> dict[str, str]:
        """Return a Secret's values.

        Raises:
            LookupError: there is none of that name.
        """
        data = self.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}").get("data") or {}
        return {key: b64decode(value).decode() for key, value in data.items()}

    def helm_secrets(self) -> list[Object]:
        """Return the Secrets in which helm keeps the releases of the namespace."""
        return self.items("secrets", labelSelector="owner=helm")

    def stats(self) -> list[Object]:
        """Return each node's summary from its kubelet (memory and more, of every pod)."""
        nodes = self.get("/api/v1/nodes")["items"]
        return [self.get(f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary") for node in nodes]

    def last_log(self, pod: str, lines: int) -> list[str]:
        """Return the last lines of each of a pod's containers, its name before each."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
        try:
            spec = self.get(path)["spec"]
        except LookupError:
            return []
        said = []
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            name = container["name"]
            try:
                log = self.text(f"{path}/log", container=name, tailLines=str(lines))
            except (ApiAway, LookupError):  # it has not started, or is gone
                continue
            said += [f"{name}: {line}" for line in log.splitlines()]
        return said


@dataclass(frozen=True)
class Pod:
    """A pod in words. ``age`` in seconds; ``why`` is empty for a pod that is ready or done."""

    name: str
    component: str
    state: str
    ready: int
    containers: int
    restarts: int
    age: float
    why: str

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be waited for."""
        return not self.why


def pods(items: Iterable[Object], now: datetime | None = None) -> list[Pod]:
    """Return the pods in words, in order of their names."""
    moment = now or datetime.now(UTC)
    return sorted((_pod(item, moment) for item in items), key=lambda pod: pod.name)


def _pod(item: Object, now: datetime) -> Pod:
    meta, status = item["metadata"], item.get("status", {})
    statuses = status.get("containerStatuses", [])
    total = len(item.get("spec", {}).get("containers", [])) or len(statuses)
    ready = sum(1 for one in statuses if one.get("ready"))
    state = "Terminating" if "deletionTimestamp" in meta else str(status.get("phase", "Unknown"))
    inits = status.get("initContainerStatuses", [])
    return Pod(
        name=meta["name"],
        component=component(meta),
        state=state,
        ready=ready,
        containers=total,
        restarts=sum(one.get("restartCount", 0) for one in statuses),
        age=(now - datetime.fromisoformat(meta["creationTimestamp"])).total_seconds(),
        why="" if state == "Succeeded" or (ready == total and state == "Running") else _why(status, inits, statuses),
    )


def component(meta: Object) -> str:
    """Return which component an object belongs to, by its labels."""
    labels = meta.get("labels") or {}
    return str(labels.get("app.kubernetes.io/name") or labels.get("app.kubernetes.io/component") or meta["name"])


def _why(status: Object, inits: Iterable[Object], statuses: Iterable[Object]) -> str:
    for one in (*inits, *statuses):
        state = one.get("state", {})
        if "waiting" in state:
            waiting = state["waiting"]
            if waiting.get("reason") != "PodInitializing":
                return _words(one["name"], waiting.get("reason"), waiting.get("message"))
        ended = state.get("terminated")
        if ended and ended.get("exitCode") != 0:
            return _words(one["name"], f"exit code {ended.get('exitCode')}", ended.get("message"))
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _words("", condition.get("reason"), condition.get("message"))
    running = [one["name"] for one in (*inits, *statuses) if "running" in one.get("state", {}) and not one.get("ready")]
    return f"{', '.join(running)} runs, not ready yet" if running else str(status.get("reason") or "starting")


def _words(name: str, reason: str | None, message: str | None) -> str:
    parts = (name, reason or "waiting", " ".join((message or "").split()))
    return ": ".join(part for part in parts if part)


@dataclass(frozen=True)
class Event:
    """The newest thing that happened to an object."""

    about: str
    reason: str
    message: str
    is_warning: bool
    at: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def newest_events(items: Iterable[Object]) -> dict[str, Event]:
    """Return what is worth telling of each object, by its name: its newest event.

    A warning outranks the normal event of the same moment ("Pulled" beside "BackOff").
    """
    found: dict[str, Event] = {}
    for item in sorted(items, key=lambda one: (_when(one), one.get("type") == "Warning")):
        name = item["involvedObject"]["name"]
        message = " ".join(str(item.get("message", "")).split())
        found[name] = Event(name, item.get("reason", ""), message, item.get("type") == "Warning", _when(item))
    return found


def last_warnings(events: Iterable[Event], count: int) -> list[Event]:
    """Return the newest warnings, the last one last."""
    return sorted((event for event in events if event.is_warning), key=lambda event: event.at)[-count:]


def _when(event: Object) -> str:
    series = event.get("series") or {}
    moment = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(moment or event["metadata"].get("creationTimestamp") or "")[:19]  # seconds; some have micros
