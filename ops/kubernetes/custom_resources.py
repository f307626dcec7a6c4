"""State of the operators' resources (Kafka, topics, users, SparkApplication): which are not ready, and why.

Facts from the sources of Strimzi 1.2 and of the Spark operator 2.5:

- Strimzi's reason is the name of a Java exception. It reconciles every two minutes, so a timeout or an error of Kafka
  is temporary; a specification that it rejects is rejected again until somebody changes it. A rejected reference to
  another object is temporary too: that object may come later.
- Kafka and its users report ``NotReady``, topics ``Ready`` with status False, a StrimziPodSet only ``Error``. The
  operator of users wraps the exception, whose name is then in the message.
- A SparkApplication is retried as its ``restartPolicy`` says, and only then becomes FAILED or COMPLETED, for good.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ops.kubernetes.kube_api import Forbidden, KubeApi
from ops.kubernetes.pods import Object

_PLURALS = {
    "kafka.strimzi.io": ("kafkas", "kafkatopics", "kafkausers"),
    "core.strimzi.io": ("strimzipodsets",),
    "sparkoperator.k8s.io": ("sparkapplications",),
}
_REJECTED = re.compile(
    r"\b(InvalidResourceException|InvalidConfigurationException|InvalidConfigParameterException"
    r"|KafkaUpgradeException|UnsupportedKafkaVersionException|NotSupported)\b"
)
_OTHER_OBJECT = re.compile(r"\b(Secret|ConfigMap|KafkaNodePool)s?\b", re.IGNORECASE)
_TERMINATED = {"COMPLETED", "FAILED"}
NOT_RECONCILED = "its operator has not reconciled it yet"


@dataclass(frozen=True)
class CustomResource:
    """One resource. ``reason``: why it is not ready, empty if it is; ``is_final``: no retry makes it ready.

    ``release`` is the helm release that it belongs to; empty if an operator created it.
    """

    kind: str
    name: str
    release: str
    reason: str
    is_final: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the resource is ready."""
        return not self.reason


def read(cluster: KubeApi) -> list[CustomResource]:
    """Read all of them; none of an operator that is not installed, or whose resources this user may not read.

    Raises:
        ApiUnavailable: the API server does not answer.
    """
    groups = {group["name"]: group["preferredVersion"]["groupVersion"] for group in cluster.get("/apis")["groups"]}
    found = []
    for group in _PLURALS.keys() & groups.keys():
        for plural in _PLURALS[group]:
            try:
                items = cluster.items(plural, f"apis/{groups[group]}")
            except (LookupError, Forbidden):  # such a user cannot have installed any
                continue
            found += [custom_resource(item) for item in items]
    return sorted(found, key=lambda one: (one.kind, one.name))


def custom_resource(item: Object) -> CustomResource:
    """Return the state of the API's object ``item``."""
    meta = item["metadata"]
    reason, is_final = _spark_state(item) if item["kind"] == "SparkApplication" else _strimzi_state(item)
    release = (meta.get("annotations") or {}).get("meta.helm.sh/release-name", "")
    return CustomResource(item["kind"], meta["name"], release, reason, is_final)


def _spark_state(item: Object) -> tuple[str, bool]:
    state = (item.get("status") or {}).get("applicationState") or {}
    name = state.get("state") or ""
    if name == "RUNNING":  # the driver's pod tells whether it merges
        return "", False
    return _joined(name or NOT_RECONCILED, state.get("errorMessage")), name in _TERMINATED


def _strimzi_state(item: Object) -> tuple[str, bool]:
    status = item.get("status") or {}
    conditions = {one.get("type"): one for one in status.get("conditions") or []}
    if item["kind"] == "StrimziPodSet":
        error = conditions.get("Error")
        return (_joined(error.get("reason"), error.get("message")) if error else "", False)
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 0) or not conditions:
        # Kafka's first condition, Creating, comes without a generation.
        return _joined((conditions.get("NotReady") or {}).get("message")) or NOT_RECONCILED, False
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "True":
        return "", False
    condition = conditions.get("NotReady") or ready or next(iter(conditions.values()))
    reason = _joined(condition.get("reason") or condition.get("type"), condition.get("message"))
    return reason, bool(_REJECTED.search(reason)) and not _OTHER_OBJECT.search(reason)


def _joined(*parts: str | None) -> str:
    return ": ".join(" ".join(part.split()) for part in parts if part)


def unready_lines(found: Iterable[CustomResource]) -> list[str]:
    """Return a line for each kind and reason, with the names of the resources that are not ready for that reason."""
    names: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if not one.is_ready:
            names.setdefault((one.kind, one.reason), []).append(one.name)
    return [f"{kind} {', '.join(those)}: {reason}" for (kind, reason), those in names.items()]
