"""How fresh and how complete the candles are, asked of PostgreSQL as ``reader``, and the consumer's lag."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from ops.common.console import seconds
from ops.common.ports import LOOPBACK
from ops.common.settings import NAMESPACE
from ops.common.variant import MERGERS
from ops.kubernetes.cluster import ApiAway, Cluster, Object, component
from ops.platform.endpoints import READER
from ops.platform.health import DATABASE, TIMEOUT

_LAG, _LAG_SECONDS = "consumer_lag_trades", "consumer_lag_seconds"
_ANSWER_AGE = "consumer_lag_answer_age_seconds"
_OLD_SECONDS = 10.0  # Kafka is asked every second
_METRICS_PORT = 8000
_QUERY = """
with open_gaps as (
    select missing_count
    from trade_id_gaps
    where symbol not in (select symbol from symbols where status = 'retired')  -- nobody fetches its trades
)
select (select max(newest) from freshness where hop = 'fact_realtime_trades_1m'),
       (select max(newest_change) from freshness where hop = 'fact_realtime_trades_1m'),
       (select count(*) from fact_realtime_trades_1m),
       (select count(*) from open_gaps),
       (select coalesce(sum(missing_count), 0) from open_gaps)
"""


@dataclass(frozen=True)
class Freshness:
    """The newest candle's minute, when a candle changed last, how many there are, and what is missing."""

    newest: datetime | None
    changed: datetime | None
    candles: int
    gaps: int
    missing: int

    def story(self, now: datetime) -> str:
        """Return it in a line."""
        if self.newest is None or self.changed is None:
            return "no candle yet"
        age = seconds(max(0.0, (now - self.changed).total_seconds()))
        gaps = f"{self.gaps} gaps, {self.missing:,} trades missing" if self.gaps else "no gap"
        return f"newest candle {self.newest:%Y-%m-%d %H:%M}, changed {age} ago; {self.candles:,} candles, {gaps}"


def read(port: int, password: str) -> Freshness:
    """Ask the database on this machine.

    Raises:
        psycopg.Error: it is away, refuses the login, or is not migrated yet.
    """
    with psycopg.connect(
        host=LOOPBACK, port=port, dbname=DATABASE, user=READER, password=password, connect_timeout=int(TIMEOUT)
    ) as connection:
        row = connection.execute(_QUERY).fetchone()
    assert row is not None
    return Freshness(row[0], row[1], int(row[2]), int(row[3]), int(row[4]))


def told(port: int, password: str) -> str:
    """Return freshness in a line, or why it is not known."""
    try:
        return read(port, password).story(datetime.now(UTC))
    except psycopg.Error as error:
        return f"PostgreSQL does not tell: {str(error).strip().splitlines()[0]}"


@dataclass(frozen=True)
class Lag:
    """What a consumer has not merged yet: so many ``trades``, and the age of the next one in ``seconds``.

    ``answer_age``: the seconds since Kafka said so.
    """

    trades: int
    seconds: float
    answer_age: float

    def story(self) -> str:
        """Return it in a line."""
        age = f", the next one is {seconds(self.seconds)} old" if self.trades and math.isfinite(self.seconds) else ""
        old = (
            f" (as of {seconds(self.answer_age)} ago: Kafka does not answer)" if self.answer_age > _OLD_SECONDS else ""
        )
        return f"lag {self.trades:,} trades{age}{old}"


def lag(metrics: str) -> Lag | None:
    """Return what a consumer has not merged yet, from its /metrics; None where it does not say or know."""
    found = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    trades, age, answer_age = (found.get(name, math.nan) for name in (_LAG, _LAG_SECONDS, _ANSWER_AGE))
    return Lag(int(trades), age, answer_age) if math.isfinite(trades) else None


def cluster_lag(cluster: Cluster, items: list[Object]) -> Lag | None:
    """Return the lag of what makes the candles; None where it is not known.

    Consumers share the topic, so theirs add up. Where Spark works beside them, a trade is merged by whoever is first.
    """
    lags = [_lag_of(cluster, items, merger) for merger in MERGERS["both"]]
    return min((one for one in lags if one is not None), key=lambda one: one.trades, default=None)


def _lag_of(cluster: Cluster, items: list[Object], merger: str) -> Lag | None:
    known: list[Lag] = []
    for pod in items:
        if component(pod["metadata"]) != merger:
            continue
        name = pod["metadata"]["name"]
        try:
            said = cluster.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:{_METRICS_PORT}/proxy/metrics")
        except (ApiAway, LookupError):
            continue
        one = lag(said)
        if one is None:
            return None  # a sum without its partitions would be too small
        known.append(one)
    if not known:
        return None
    trades, ages, answer_ages = zip(*((one.trades, one.seconds, one.answer_age) for one in known), strict=True)
    return Lag(sum(trades), max(ages), max(answer_ages))
