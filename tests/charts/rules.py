"""Rules for every rendered object, whatever the values. Each rule returns the violations as texts."""

import re
from collections.abc import Iterator
from functools import cache

import kubernetes_validate
from kubernetes_validate import utils

from tests.charts.rendering import KUBERNETES, NAMESPACE, Object, containers, name_of, pods

# Kinds of other API groups; custom_resources.py validates them by the operators' definitions.
FOREIGN_GROUPS = ("kafka.strimzi.io/", "monitoring.coreos.com/", "sparkoperator.k8s.io/")
CLUSTER_SCOPED = {
    "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PersistentVolume", "StorageClass",
    "PriorityClass", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "RuntimeClass",
}  # fmt: skip
# A driver creates its executors through the Kubernetes API, with an account of the operator's chart.
_ASK_KUBERNETES = {"SparkApplication/spark-candles driver"}
# Their resources come from the cores and memory of the application, which the API requires.
_SIZED_BY_SPARK = "SparkApplication"
_ANY_SIZE = {"requests": {"cpu": 1, "memory": 1}, "limits": {"memory": 1}}
_SECRET_SETTING = re.compile(r"PASSWORD|SECRET_KEY|TOKEN")

# Cached, because the package reads its files again for each object.
utils.schema_contents = cache(utils.schema_contents)


def problems(objects: tuple[Object, ...]) -> list[str]:
    """Return all violations of the rules."""
    found = [f"{name_of(one)}: {problem}" for one in objects for problem in _object(one)]
    for name, pod in pods(objects):
        found += [f"{name}: {problem}" for problem in _pod(pod, asks_kubernetes=name in _ASK_KUBERNETES)]
        long_running = name.startswith(("Deployment", "StatefulSet"))
        starting = pod["spec"].get("initContainers", [])
        for container in containers(pod):
            sized = container if not name.startswith(_SIZED_BY_SPARK) else {**container, "resources": _ANY_SIZE}
            is_probed = long_running and container not in starting
            found += [f"{name} {container['name']}: {problem}" for problem in _container(sized, is_probed)]
    return found


def _object(one: Object) -> Iterator[str]:
    if one["kind"] in CLUSTER_SCOPED:
        yield "is outside of the namespace"
    if one["metadata"].get("namespace") != NAMESPACE:
        yield "does not name its namespace"
    if one["kind"] == "ServiceAccount" and one.get("automountServiceAccountToken") is not False:
        yield "mounts its token"
    yield from schema_violations(one)


def schema_violations(one: Object, version: str = KUBERNETES) -> Iterator[str]:
    """Yield where an object differs from the schema of that version of Kubernetes; other API groups are left out."""
    if one["apiVersion"].startswith(FOREIGN_GROUPS):
        return
    try:
        kubernetes_validate.validate(dict(one), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


def _pod(pod: Object, *, asks_kubernetes: bool) -> Iterator[str]:
    spec = pod["spec"]
    context = spec.get("securityContext", {})
    if spec.get("automountServiceAccountToken") is not asks_kubernetes:
        yield "mounts the account's token, or lacks the one that it needs"
    if spec.get("enableServiceLinks") is not False:
        yield "has service links: they set POSTGRES_PORT and the like"
    if spec.get("serviceAccountName", "default") == "default":
        yield "has no account of its own"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the node's network, processes or IPC"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root, or as a user that is not numeric"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        yield "mounts the node's files"


def _container(container: Object, long_running: bool) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if not any(mount["mountPath"] == "/tmp" for mount in container.get("volumeMounts", [])):
        yield "has no writable /tmp"
    resources = container.get("resources", {})
    if {"cpu", "memory"} - set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "lacks requests or a limit of memory"
    if not re.fullmatch(r"[^:@]+(:\d+/[^:@]+)?:[^:@]+", container["image"]) or container["image"].endswith(":latest"):
        yield f"has no fixed tag: {container['image']}"
    if long_running and {"startupProbe", "readinessProbe", "livenessProbe"} - set(container):
        yield "lacks a probe"
    yield from (
        f"has the secret {entry['name']} in plain text"
        for entry in container.get("env", [])
        if _SECRET_SETTING.search(entry["name"]) and "value" in entry
    )
