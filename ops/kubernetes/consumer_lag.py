"""Consumer lag in the cluster, from the metrics of the pods that merge trades."""

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from ops.common.candle_variant import MERGERS
from ops.common.settings import NAMESPACE
from ops.common.units import duration
from ops.kubernetes.kube_api import ApiUnavailable, KubeApi
from ops.kubernetes.pods import Object, component

_LAG, _LAG_SECONDS = "consumer_lag_trades", "consumer_lag_seconds"
_END_OFFSETS_AGE = "consumer_end_offsets_age_seconds"
_OLD_SECONDS = 10.0  # the end offsets are requested every second
_METRICS_PORT = 8000


@dataclass(frozen=True)
class ConsumerLag:
    """The lag: the number of unmerged ``trades``, and the age of the oldest of them in ``seconds``.

    ``end_offsets_age``: seconds since Kafka last returned the end offsets.
    """

    trades: int
    seconds: float
    end_offsets_age: float

    def summary(self) -> str:
        """Return the lag in one line."""
        age = f", the oldest is {duration(self.seconds)} old" if self.trades and math.isfinite(self.seconds) else ""
        old = (
            f" (as of {duration(self.end_offsets_age)} ago: Kafka does not answer)"
            if self.end_offsets_age > _OLD_SECONDS
            else ""
        )
        return f"lag {self.trades:,} trades{age}{old}"


def parse(metrics: str) -> ConsumerLag | None:
    """Return one pod's lag from the text of its /metrics; None if the metric is missing or NaN."""
    found = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    trades, age, end_offsets_age = (found.get(name, math.nan) for name in (_LAG, _LAG_SECONDS, _END_OFFSETS_AGE))
    return ConsumerLag(int(trades), age, end_offsets_age) if math.isfinite(trades) else None


def read(cluster: KubeApi, items: list[Object]) -> ConsumerLag | None:
    """Return the lag of the platform; None if no pod reports one.

    Consumers share the partitions, so their lags add up. If Spark runs beside them, each trade is merged by the first
    of the two that reads it, so the smaller lag counts.
    """
    lags = [_lag_of(cluster, items, merger) for merger in MERGERS["both"]]
    return min((lag for lag in lags if lag is not None), key=lambda lag: lag.trades, default=None)


def _lag_of(cluster: KubeApi, items: list[Object], merger: str) -> ConsumerLag | None:
    lags: list[ConsumerLag] = []
    for pod in items:
        if component(pod["metadata"]) != merger:
            continue
        name = pod["metadata"]["name"]
        try:
            text = cluster.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:{_METRICS_PORT}/proxy/metrics")
        except (ApiUnavailable, LookupError):
            continue
        lag = parse(text)
        if lag is None:
            return None  # without this pod's partitions the sum would be too small
        lags.append(lag)
    if not lags:
        return None
    trades, ages, answer_ages = zip(*((lag.trades, lag.seconds, lag.end_offsets_age) for lag in lags), strict=True)
    return ConsumerLag(sum(trades), max(ages), max(answer_ages))
