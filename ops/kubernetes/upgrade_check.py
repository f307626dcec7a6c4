"""Check that an upgrade keeps the installed feed, the installed Kafka and the installed S3 server.

Trade ids of two exchanges overlap, so in one database trades of the second feed would be dropped as duplicates of the
first. A Kafka of another mode would start empty, and unread trades of the installed one would be lost. Another S3
server would start empty too, without the raw objects that the database lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, NAMESPACE
from ops.kubernetes.kube_api import Forbidden, KubeApi
from ops.kubernetes.pods import Object
from ops.platform.exchange_hosts import exchange

_FEED = "BINANCE_WS_URL"
_KAFKA = "crypto"  # the name of Strimzi's resource
_STRIMZI = "kafka.strimzi.io/v1"
_S3_SERVERS = ("minio", "versitygw")  # names of the releases, StatefulSets and Services
_S3_PORT = 9000


@dataclass(frozen=True)
class Installed:
    """The URL of the producer's feed, Kafka's mode (kraft or strimzi), and the S3 server's ``host:port``.

    None if it is not installed; an S3 server outside of the cluster counts as not installed.
    """

    feed: str | None
    kafka: str | None
    object_store: str | None = None


def installed(cluster: KubeApi, wanted: str) -> Installed:
    """Return what is installed; ``wanted`` is the requested mode of Kafka.

    Raises:
        ApiUnavailable: the cluster does not answer.
        Problem: the user has no permission to read it.
    """
    if _found(cluster, "apps/v1", "statefulsets/kafka") is not None:
        kafka = "kraft"
    elif _strimzi(cluster, wanted):
        kafka = "strimzi"
    else:
        kafka = None
    servers = (name for name in _S3_SERVERS if _found(cluster, "apps/v1", f"statefulsets/{name}") is not None)
    return Installed(installed_feed(cluster), kafka, next((f"{name}:{_S3_PORT}" for name in servers), None))


def installed_feed(cluster: KubeApi) -> str | None:
    """Return the URL of the installed producer's feed; raises as :func:`installed` does."""
    producer = _found(cluster, "apps/v1", "deployments/producer")
    return _feed(producer) if producer is not None else None


def _strimzi(cluster: KubeApi, wanted: str) -> bool:
    try:
        return _found(cluster, _STRIMZI, f"kafkas/{_KAFKA}") is not None
    except Forbidden:
        # Without permission to read Strimzi's resources, the user cannot have installed a Kafka by Strimzi either.
        if wanted == "kraft":
            return False
        raise


def _found(cluster: KubeApi, group: str, name: str) -> Object | None:
    try:
        # The group first: every user has permission to read it, while objects of a missing group are forbidden.
        cluster.get(f"/apis/{group}")
        found: Object = cluster.get(f"/apis/{group}/namespaces/{NAMESPACE}/{name}")
    except LookupError:
        return None
    return found


def _feed(producer: Object) -> str | None:
    containers = producer["spec"]["template"]["spec"]["containers"]
    return next((env.get("value") for one in containers for env in one.get("env", []) if env["name"] == _FEED), None)


def planned(values: Mapping[str, Mapping[str, Any]]) -> Installed:
    """Return what the values of the releases producer, kafka and batch request."""
    exporter = values["batch"]["components"]["exporter"]
    return Installed(
        values["producer"]["settings"][_FEED], values["kafka"]["mode"], exporter["settings"]["S3_ENDPOINT"]
    )


def check_unchanged(now: Installed, then: Installed, context: str) -> None:
    """Check that the upgrade keeps what is installed.

    Raises:
        Problem: the feed, Kafka's mode or the S3 server would change.
    """
    recreate = "make down"
    if context != KIND_CONTEXT:
        if now.kafka == "strimzi":
            recreate = "first what `make down` prints on Kafka, then make down"
        recreate += f" KUBE_CONTEXT={context}, then kubectl --context {context} delete namespace {NAMESPACE}"
    fix = f"keep ENV, FEED and {_FEED} as they were; or remove the data and start again: {recreate}"
    if now.feed is not None and then.feed is not None and exchange(now.feed) != exchange(then.feed):
        cause = f"the database has trades of {now.feed}, and trade ids of {then.feed} overlap with theirs: trades of"
        raise Problem("the feed cannot change", f"{cause} one would be dropped as duplicates of the other's", fix)
    if now.kafka is not None and now.kafka != then.kafka:
        cause = f"mode {now.kafka} is installed; mode {then.kafka} would start empty, and unread trades would be lost"
        raise Problem("Kafka's mode cannot change", cause, fix)
    if now.object_store is not None and now.object_store != then.object_store:
        server = now.object_store.partition(":")[0]
        cause = f"{server} is installed; {then.object_store} does not have the raw objects that the database lists"
        fix = (
            f"make up OBJECT_STORE_SERVER={server}; or copy the objects first as docs/kubernetes.md tells, then "
            f"helm --kube-context {context} --namespace {NAMESPACE} uninstall {server} (its volume is kept), and again"
        )
        raise Problem("the S3 server cannot change", cause, fix)
