"""What runs in the cluster already and must stay: the feed of the trades, and the Kafka that holds them.

Two exchanges number their trades alike: in one database, a trade of the second passes for a duplicate of one of the
first. And a Kafka of the other kind starts empty, so that what the first one holds is never read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, NAMESPACE
from ops.kubernetes.cluster import Cluster, Forbidden
from ops.kubernetes.pods import Object

_FEED = "BINANCE_WS_URL"
# One exchange under two names: data-stream.binance.vision is where the other refuses a country. Its futures
# (fstream), its testnet and binance.us number trades of their own.
_BINANCE = re.compile(r"(data-)?stream\d*\.binance\.(com|vision)")
_KAFKA = "crypto"  # as Strimzi knows it
_STRIMZI = "kafka.strimzi.io/v1"


@dataclass(frozen=True)
class Installed:
    """The producer's exchange, and Kafka's mode (kraft or strimzi); None for what does not run."""

    feed: str | None
    kafka: str | None


def installed(cluster: Cluster, wanted: str) -> Installed:
    """Return what runs in the cluster, where Kafka's mode ``wanted`` is asked for.

    Raises:
        ApiUnavailable: the cluster does not answer.
        Problem: this user may not read it.
    """
    producer = _found(cluster, "apps/v1", "deployments/producer")
    if _found(cluster, "apps/v1", "statefulsets/kafka") is not None:
        kafka = "kraft"
    elif _strimzi(cluster, wanted):
        kafka = "strimzi"
    else:
        kafka = None
    return Installed(_feed(producer) if producer is not None else None, kafka)


def _strimzi(cluster: Cluster, wanted: str) -> bool:
    try:
        return _found(cluster, _STRIMZI, f"kafkas/{_KAFKA}") is not None
    except Forbidden:
        # Somebody else's Strimzi: who may not read its resources cannot have made one here either.
        if wanted == "kraft":
            return False
        raise


def _found(cluster: Cluster, group: str, name: str) -> Object | None:
    try:
        # The group first: everybody may ask for it, and in one that is not there nobody may read an object.
        cluster.get(f"/apis/{group}")
        found: Object = cluster.get(f"/apis/{group}/namespaces/{NAMESPACE}/{name}")
    except LookupError:
        return None
    return found


def _feed(producer: Object) -> str | None:
    containers = producer["spec"]["template"]["spec"]["containers"]
    return next((env.get("value") for one in containers for env in one.get("env", []) if env["name"] == _FEED), None)


def planned(values: Mapping[str, Mapping[str, Any]]) -> Installed:
    """Return what the values of the releases producer and kafka bring up."""
    return Installed(values["producer"]["settings"][_FEED], values["kafka"]["mode"])


def exchange(url: str) -> str:
    """Return what tells exchanges apart: Binance's spot market is one by all its names, others are by their URLs."""
    return "binance" if _BINANCE.fullmatch(urlsplit(url).hostname or "") else url


def refuse_change(now: Installed, then: Installed, context: str) -> None:
    """Check that what is brought up goes on with what runs.

    Raises:
        Problem: the feed or Kafka's mode would change.
    """
    anew = "make down"
    if context != KIND_CONTEXT:
        if now.kafka == "strimzi":
            anew = "first what `make down` prints of Kafka, then make down"
        anew += f" KUBE_CONTEXT={context}, then kubectl --context {context} delete namespace {NAMESPACE}"
    fix = f"keep ENV, FEED and {_FEED} as they were; or begin anew without the data: {anew}"
    if now.feed is not None and then.feed is not None and exchange(now.feed) != exchange(then.feed):
        cause = (
            f"{now.feed} feeds the database and {then.feed} would: both number their trades alike, so that trades of"
        )
        raise Problem("the feed cannot change", f"{cause} one would pass for duplicates of the other's", fix)
    if now.kafka is not None and now.kafka != then.kafka:
        cause = f"mode {now.kafka} runs, and one of mode {then.kafka} would begin empty and leave its trades unread"
        raise Problem("Kafka's mode cannot change", cause, fix)
