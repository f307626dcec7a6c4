"""Count the trades of a run at each hop, from outside: the simulator, Kafka, PostgreSQL, the services' metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings
from ops.common import loopback
from ops.common.loopback import LOOPBACK
from ops.local.exchange import SimulatorStatus

TIMEOUT = 5.0


@dataclass(frozen=True)
class TradeCounts:
    """Trades sent, records in the topic and not yet committed, trade ids merged and missing, all at one time."""

    sent: int | None
    produced: int
    lag: int
    merged: int
    missing: int
    is_streamed: bool

    @property
    def is_complete(self) -> bool:
        """Whether every trade of the play is merged."""
        return self.is_streamed and self.lag == 0 and self.missing == 0

    @property
    def is_idle(self) -> bool:
        """Whether all that was streamed is committed, though trades may be missing."""
        return self.is_streamed and self.lag == 0


class TradesTopic:
    """The trades topic and the committed offsets of one consumer group."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        config = client_config(settings) | {"group.id": group, "enable.auto.commit": False, "log_level": 0}
        self._consumer = Consumer(config)
        self._name = settings.KAFKA_TOPIC_TRADES

    def close(self) -> None:
        """Close the connection to the broker."""
        self._consumer.close()

    def count(self) -> tuple[int, int]:
        """Return the number of records in the topic, and how many of them the group has not committed.

        Raises:
            KafkaException: the broker does not answer.
        """
        found = self._consumer.list_topics(self._name, timeout=TIMEOUT).topics[self._name]
        parts = [TopicPartition(self._name, number) for number in found.partitions]
        produced = lag = 0
        for part in self._consumer.committed(parts, timeout=TIMEOUT):
            first, end = self._consumer.get_watermark_offsets(part, timeout=TIMEOUT)
            produced += end
            lag += end - max(first, part.offset)  # an offset below 0: nothing committed yet
        return produced, lag


def merged_ids(connection: psycopg.Connection) -> tuple[int, int]:
    """Return the number of merged trade ids, and of those missing between them."""
    row = connection.execute(
        "select (select coalesce(sum(last_id - first_id + 1), 0) from trade_id_ranges), "
        "(select coalesce(sum(missing_count), 0) from trade_id_gaps)"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def missing_ids(connection: psycopg.Connection, status: SimulatorStatus) -> int:
    """Return the number of the play's trade ids, from its first to its final one, that are not merged."""
    missing = 0
    for symbol, ids in status.symbols.items():
        if ids.first_id is None or ids.final_id is None:
            continue
        row = connection.execute(
            "select coalesce(sum(least(last_id, %(final)s) - greatest(first_id, %(first)s) + 1), 0) "
            "from trade_id_ranges where symbol = %(symbol)s and last_id >= %(first)s and first_id <= %(final)s",
            {"symbol": symbol, "first": ids.first_id, "final": ids.final_id},
        ).fetchone()
        assert row is not None
        missing += ids.final_id - ids.first_id + 1 - int(row[0])
    return missing


def count_trades(topic: TradesTopic, conninfo: str, status: SimulatorStatus | None) -> TradeCounts | None:
    """Return the counts of the run now; None while a server is restarting."""
    try:
        produced, lag = topic.count()
        with psycopg.connect(conninfo) as connection:
            merged, between = merged_ids(connection)
            missing = missing_ids(connection, status) if status else between
    except (KafkaException, psycopg.OperationalError):
        return None
    return TradeCounts(
        status.trades_sent if status else None, produced, lag, merged, missing, status.is_done if status else False
    )


def metrics(port: int) -> Mapping[str, float]:
    """Return the samples of a service's /metrics, summed over their labels.

    Raises:
        OSError: the service does not answer.
    """
    with loopback.get(f"http://{LOOPBACK}:{port}/metrics", TIMEOUT) as answer:
        text = answer.read().decode()
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return totals


class CounterTotals:
    """Totals of a service's counters over its restarts, each of which begins at zero."""

    def __init__(self) -> None:
        self._base: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def add(self, samples: Mapping[str, float]) -> None:
        """Add the counters as a service reports them now."""
        for name, value in samples.items():
            if value < self._last.get(name, 0.0):
                self._base[name] = self._base.get(name, 0.0) + self._last[name]
            self._last[name] = value

    def of(self, name: str) -> int:
        """Return a counter's total so far."""
        return int(self._base.get(name, 0.0) + self._last.get(name, 0.0))
