"""Looking at a run from outside: how many trades are at each hop, and whether everything streamed has arrived."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.runtime.settings import KafkaSettings
from ops.common import loopback
from ops.common.loopback import LOOPBACK
from ops.local.exchange import Progress

TIMEOUT = 5.0


@dataclass(frozen=True)
class Sight:
    """One look at the run: trades streamed, records in the topic and not yet committed, trade ids merged."""

    sent: int | None
    produced: int
    lag: int
    merged: int
    missing: int
    is_streamed: bool

    @property
    def is_complete(self) -> bool:
        """Whether every trade of the play is merged and nothing is under way."""
        return self.is_streamed and self.lag == 0 and self.missing == 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, though trades may be missing."""
        return self.is_streamed and self.lag == 0


class Topic:
    """The trades topic and one group's position in it."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        config = client_config(settings) | {"group.id": group, "enable.auto.commit": False, "log_level": 0}
        self._consumer = Consumer(config)
        self._name = settings.KAFKA_TOPIC_TRADES

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def count(self) -> tuple[int, int]:
        """Return how many records the topic took, and how many of them the group has not committed.

        Raises:
            KafkaException: the broker is away.
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
    """Return how many trade ids are merged and how many between them are missing."""
    row = connection.execute(
        "select (select coalesce(sum(last_id - first_id + 1), 0) from trade_id_ranges), "
        "(select coalesce(sum(missing_count), 0) from trade_id_gaps)"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def missing_ids(connection: psycopg.Connection, play: Progress) -> int:
    """Return how many trade ids of the play, from its first to its final one, are not merged."""
    missing = 0
    for symbol, ids in play.symbols.items():
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


def look(topic: Topic, conninfo: str, play: Progress | None) -> Sight | None:
    """Return one look at the run, or None where a server is just being started again."""
    try:
        produced, lag = topic.count()
        with psycopg.connect(conninfo) as connection:
            merged, between = merged_ids(connection)
            missing = missing_ids(connection, play) if play else between
    except (KafkaException, psycopg.OperationalError):
        return None
    return Sight(play.trades_sent if play else None, produced, lag, merged, missing, play.is_done if play else False)


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


class Totals:
    """Counters of a service that survive its restarts, each of which begins at nought again."""

    def __init__(self) -> None:
        self._base: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def see(self, samples: Mapping[str, float]) -> None:
        """Take in one look at the counters."""
        for name, value in samples.items():
            if value < self._last.get(name, 0.0):
                self._base[name] = self._base.get(name, 0.0) + self._last[name]
            self._last[name] = value

    def of(self, name: str) -> int:
        """Return a counter's total so far."""
        return int(self._base.get(name, 0.0) + self._last.get(name, 0.0))
