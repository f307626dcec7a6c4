"""The lag monitor with real clients and the client library's mock brokers."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, Producer, TopicPartition

from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.settings import KafkaSettings
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.lag import LagMonitor

RULES = Rules(frozenset({"BTCUSDT"}), 2**60)
TRADED_AT = 1_741_046_401  # s


class Mocked:
    """A mocked broker: it lives as long as the producer that asked for it."""

    def __init__(self) -> None:
        self.producer = Producer({"bootstrap.servers": "mocked", "test.mock.num.brokers": 1, "log_level": 0})
        [broker] = self.producer.list_topics(timeout=30).brokers.values()
        self.settings = KafkaSettings(KAFKA_BOOTSTRAP_SERVERS=f"{broker.host}:{broker.port}", KAFKA_TOPIC_TRADES="t")
        self.clients: list[Consumer] = []

    def produce(self, partition: int, count: int, first: int = 0) -> None:
        for number in range(first, first + count):
            trade = {"e": "trade", "s": "BTCUSDT", "t": number + 1, "p": "1", "q": "1",
                     "T": (TRADED_AT + number) * 1000, "m": True}  # fmt: skip
            self.producer.produce("t", json.dumps(trade), partition=partition)
        assert self.producer.flush(30) == 0

    def client(self) -> Consumer:
        client = kafka.consumer(self.settings, "g", log_level=0)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()


@pytest.fixture
def mocked() -> Iterator[Mocked]:
    broker = Mocked()
    yield broker
    broker.close()


Watch = Callable[..., tuple[LagMonitor, Backlog]]


@pytest.fixture
def watch(mocked: Mocked) -> Watch:
    def make(**options: Any) -> tuple[LagMonitor, Backlog]:
        backlog, log = Backlog(), structlog.stdlib.get_logger()
        return LagMonitor(mocked.client(), "t", backlog, lambda: RULES, log, **options), backlog

    return make


def age(trade: int, now: int) -> float:
    return now - TRADED_AT - trade


def test_the_lag_before_and_after_a_merge_and_without_fetches(mocked: Mocked, watch: Watch) -> None:
    looking, backlog = watch()
    mocked.produce(0, 10)
    mocked.produce(1, 5)
    backlog.assign([0, 1, 2])
    looking.query()
    now = TRADED_AT + 1000
    assert (backlog.trades(), backlog.seconds(now * SECOND)) == (15, age(0, now))
    backlog.merged({0: 4, 1: 5})
    looking.query()  # the trade at 4 is read when it is still the next one a second later
    looking.query()
    assert (backlog.trades(), backlog.seconds(now * SECOND)) == (6, age(4, now))
    for more in range(1, 4):  # a store is unreachable: the topic grows, and no consumer fetches
        mocked.produce(0, 1000)
        looking.query()
        assert (backlog.trades(), backlog.seconds((now + more) * SECOND)) == (6 + 1000 * more, age(4, now + more))
    backlog.revoke([0, 1, 2])
    backlog.assign([1])
    looking.query()
    assert (backlog.trades(), backlog.seconds(now * SECOND)) == (5, age(0, now))  # the group has committed nothing


def test_the_lag_starts_at_the_committed_offsets(mocked: Mocked, watch: Watch) -> None:
    looking, backlog = watch()
    mocked.produce(0, 10)
    mocked.client().commit(offsets=[TopicPartition("t", 0, 7)], asynchronous=False)
    backlog.assign([0])
    looking.query()
    assert (backlog.trades(), backlog.seconds(TRADED_AT * SECOND)) == (3, max(0.0, age(7, TRADED_AT)))


def test_whole_topic_covers_all_partitions(mocked: Mocked, watch: Watch) -> None:
    looking, backlog = watch(whole_topic=True)
    for partition in range(4):
        mocked.produce(partition, 2)
    looking.query()
    assert backlog.trades() == 8


def test_the_age_of_a_record_without_a_trade_is_that_of_its_timestamp(mocked: Mocked, watch: Watch) -> None:
    looking, backlog = watch()
    mocked.producer.produce("t", b"no trade", partition=0, timestamp=TRADED_AT * 1000)
    assert mocked.producer.flush(30) == 0
    backlog.assign([0])
    looking.query()
    assert backlog.seconds((TRADED_AT + 60) * SECOND) == 60


def test_an_unreachable_broker_is_logged_once_and_the_end_offsets_age(mocked: Mocked, watch: Watch) -> None:
    looking, backlog = watch()
    mocked.produce(0, 10)
    backlog.assign([0])
    looking.query()
    age = backlog.end_offsets_age()
    with structlog.testing.capture_logs() as logs:
        for error in ("away", "away", "", "away"):
            looking._log_failure(error)
    assert [entry["event"] for entry in logs] == ["lag_query_failed", "lag_query_failed"]
    assert backlog.trades() == 10
    assert backlog.end_offsets_age() > age
