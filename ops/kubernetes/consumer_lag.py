"""How far the consumers in the cluster are behind, from their metrics."""

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from ops.common.settings import NAMESPACE
from ops.common.units import duration
from ops.common.variant import MERGERS
from ops.kubernetes.cluster import ApiUnavailable, Cluster
from ops.kubernetes.pods import Object, component

_LAG, _LAG_SECONDS = "consumer_lag_trades", "consumer_lag_seconds"
_ANSWER_AGE = "consumer_end_offsets_age_seconds"
_OLD_SECONDS = 10.0  # Kafka is asked every second
_METRICS_PORT = 8000


@dataclass(frozen=True)
class ConsumerLag:
    """What a consumer has not merged yet: so many ``trades``, and the age of the next one in ``seconds``.

    ``answer_age``: the seconds since Kafka said so.
    """

    trades: int
    seconds: float
    answer_age: float

    def summary(self) -> str:
        """Return it in a line."""
        age = f", the next one is {duration(self.seconds)} old" if self.trades and math.isfinite(self.seconds) else ""
        old = (
            f" (as of {duration(self.answer_age)} ago: Kafka does not answer)" if self.answer_age > _OLD_SECONDS else ""
        )
        return f"lag {self.trades:,} trades{age}{old}"


def parse(metrics: str) -> ConsumerLag | None:
    """Return what a consumer has not merged yet, from its /metrics; None where it does not say or know."""
    found = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    trades, age, answer_age = (found.get(name, math.nan) for name in (_LAG, _LAG_SECONDS, _ANSWER_AGE))
    return ConsumerLag(int(trades), age, answer_age) if math.isfinite(trades) else None


def read(cluster: Cluster, items: list[Object]) -> ConsumerLag | None:
    """Return the lag of what makes the candles; None where it is not known.

    Consumers share the topic, so theirs add up. Where Spark works beside them, a trade is merged by whoever is first.
    """
    lags = [_lag_of(cluster, items, merger) for merger in MERGERS["both"]]
    return min((one for one in lags if one is not None), key=lambda one: one.trades, default=None)


def _lag_of(cluster: Cluster, items: list[Object], merger: str) -> ConsumerLag | None:
    known: list[ConsumerLag] = []
    for pod in items:
        if component(pod["metadata"]) != merger:
            continue
        name = pod["metadata"]["name"]
        try:
            text = cluster.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:{_METRICS_PORT}/proxy/metrics")
        except (ApiUnavailable, LookupError):
            continue
        one = parse(text)
        if one is None:
            return None  # a sum without its partitions would be too small
        known.append(one)
    if not known:
        return None
    trades, ages, answer_ages = zip(*((one.trades, one.seconds, one.answer_age) for one in known), strict=True)
    return ConsumerLag(sum(trades), max(ages), max(answer_ages))
