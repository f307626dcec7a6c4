"""Clients survive empty cluster metadata from a starting broker; librdkafka 2.10 to 2.16 do not (decision 17)."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from crypto_analytics.runtime import kafka as clients
from ops.common.loopback import LOOPBACK
from tests.servers import Broker
from tests.starting_broker import StartingBroker

SECONDS = 30
ROUNDS = 3


@pytest.fixture
def starting(kafka: Broker) -> Iterator[StartingBroker]:
    with StartingBroker(int(kafka.bootstrap_servers.rpartition(":")[2])) as proxy:
        yield proxy


def test_producer_and_consumer_go_on(kafka: Broker, starting: StartingBroker) -> None:
    settings = replace(kafka, bootstrap_servers=f"{LOOPBACK}:{starting.port}").settings()
    producer = clients.producer(settings)
    consumer = clients.consumer(settings, "starting")
    consumer.subscribe([kafka.topic_trades])

    def hand_over(value: bytes) -> None:
        producer.produce(kafka.topic_trades, value)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            producer.poll(0)
            message = consumer.poll(0.1)
            if message is not None and message.error() is None and message.value() == value:
                return
        pytest.fail(f"{value!r} did not come through within {SECONDS} s; in the producer's queue: {len(producer)}")

    try:
        hand_over(b"before")
        for number in range(ROUNDS):
            starting.restart()
            hand_over(b"after restart %d" % number)
    finally:
        producer.purge()
        consumer.close()
