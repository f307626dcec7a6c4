"""Read-only access to the Kubernetes API: objects as plain dictionaries, Secrets, logs and the kubelets' summaries."""

import json
from base64 import b64decode
from typing import Any

import urllib3
from kubernetes import client, config

from ops.common.errors import Problem
from ops.common.settings import NAMESPACE
from ops.kubernetes.pods import Object
from ops.platform import make_command

_SECONDS = (3, 15)  # to connect, to answer
_OK = 200
_REFUSED = (401, 403)
_NOT_FOUND = 404


class ApiUnavailable(Exception):
    """The API server does not answer."""


class Forbidden(Problem):
    """The user has no permission to read an object."""


class KubeApi:
    """The API of one cluster, through one context of the kubeconfig.

    Raises:
        Problem: the kubeconfig has no such context.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        try:
            self._api: Any = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            fix = f"{make_command.make_up()}; other clusters: kubectl config get-contexts"
            raise Problem(f"the context {context} cannot be used", str(error), fix) from error

    def text(self, path: str, **query: str) -> str:
        """Return the body of the answer to a GET.

        Raises:
            ApiUnavailable: the server does not answer.
            Forbidden: the user has no permission to read it.
            LookupError: the object does not exist.
        """
        method, url, headers, *_ = self._api.param_serialize(
            "GET", path, query_params=list(query.items()), auth_settings=["BearerToken"]
        )
        try:
            answer = self._api.call_api(method, url, headers, _request_timeout=_SECONDS)
            body = str(answer.read().decode())
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnavailable(f"{path}: {error}") from error
        if answer.status == _NOT_FOUND:
            raise LookupError(path)
        if answer.status in _REFUSED:
            fix = f"kubectl --context {self.context} auth can-i --list --namespace {NAMESPACE}"
            raise Forbidden(f"no permission to read {path}", f"{answer.status} {answer.reason}", fix)
        if answer.status != _OK:
            raise ApiUnavailable(f"{path}: {answer.status} {answer.reason}")
        return body

    def get(self, path: str, **query: str) -> Any:
        """Return the parsed answer to a GET; raises as :meth:`text` does."""
        return json.loads(self.text(path, **query))

    def items(self, kind: str, group: str = "api/v1", **query: str) -> list[Object]:
        """Return the namespace's objects of a kind in its plural form ("pods")."""
        return list(self.get(f"/{group}/namespaces/{NAMESPACE}/{kind}", **query)["items"])

    def secret(self, name: str) -> dict[str, str]:
        """Return a Secret's values.

        Raises:
            LookupError: the Secret does not exist.
        """
        data = self.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}").get("data") or {}
        return {key: b64decode(value).decode() for key, value in data.items()}

    def helm_secrets(self) -> list[Object]:
        """Return the Secrets in which helm stores the releases of the namespace."""
        return self.items("secrets", labelSelector="owner=helm")

    def stats(self) -> list[Object]:
        """Return each kubelet's summary, which has the memory of every pod."""
        nodes = self.get("/api/v1/nodes")["items"]
        return [self.get(f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary") for node in nodes]

    def last_log(self, pod: str, lines: int) -> list[str]:
        """Return the last log lines of each of a pod's containers, prefixed with the container's name."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
        try:
            spec = self.get(path)["spec"]
        except LookupError:
            return []
        lines_of_all = []
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            name = container["name"]
            try:
                log = self.text(f"{path}/log", container=name, tailLines=str(lines))
            except (ApiUnavailable, LookupError):  # the container has not started, or no longer exists
                continue
            lines_of_all += [f"{name}: {line}" for line in log.splitlines()]
        return lines_of_all
