"""Send records to Kafka, with backpressure while the client's queue is full."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from crypto_analytics.binance.trade_decoder import BadTrade
from crypto_analytics.core.trades import Trade
from crypto_analytics.producer.sink import KafkaSink

TRADE = Trade(7, 7, 1, 1, 1_767_571_200_000_000, True, b'{"e":"trade"}')


class FakeKafka:
    """A producer with a queue of ``room`` records; each poll delivers one, with ``error`` if it is set."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.queue: list[tuple[str, bytes, Any, dict[str, Any], Callable[..., None]]] = []
        self.delivered: list[tuple[str, bytes, Any, dict[str, Any]]] = []
        self.error: KafkaError | None = None

    def produce(self, topic: str, value: bytes, key: Any = None, *, headers: Any, on_delivery: Any) -> None:
        if len(self.queue) >= self.room:
            raise BufferError("queue full")
        self.queue.append((topic, value, key, dict(headers), on_delivery))

    def poll(self, timeout: float) -> int:
        if not self.queue:
            return 0
        *record, on_delivery = self.queue.pop(0)
        self.delivered.append(cast(Any, tuple(record)))
        on_delivery(self.error, None)
        return 1

    def flush(self, timeout: float) -> int:
        while self.queue:
            self.poll(0)
        return 0


def sink_over(kafka: FakeKafka) -> KafkaSink:
    return KafkaSink(cast(Producer, kafka), "trades", "dlq")


def test_records_carry_key_value_and_headers_of_the_contract() -> None:
    kafka = FakeKafka(10)

    async def run() -> None:
        sink = sink_over(kafka)
        await sink.send("BTCUSDT", TRADE, 123, "ws")
        await sink.send("BTCUSDT", TRADE, 124, "rest")
        await sink.reject(b"junk", BadTrade("not_json", "because"), 125, "ws")
        assert sink.flush(1) == 0

    asyncio.run(run())
    assert kafka.delivered == [
        ("trades", b'{"e":"trade"}', "BTCUSDT", {"received_at": "123", "source": "ws"}),
        ("trades", b'{"e":"trade"}', "BTCUSDT", {"received_at": "124", "source": "rest"}),
        ("dlq", b"junk", None, {"reason": "not_json", "detail": "because", "received_at": "125", "source": "ws"}),
    ]


def test_a_full_queue_makes_the_sender_wait_and_drops_nothing() -> None:
    kafka = FakeKafka(2)

    async def run() -> None:
        sink = sink_over(kafka)
        for number in range(8):
            await sink.send("BTCUSDT", TRADE, number, "ws")
        await sink.reject(b"junk", BadTrade("not_json", "because"), 8, "ws")
        sink.flush(1)

    asyncio.run(run())
    assert [record[3]["received_at"] for record in kafka.delivered] == [str(number) for number in range(9)]


@pytest.mark.parametrize("of_a_dead_letter", [False, True])
def test_a_record_that_kafka_refuses_for_good_ends_the_pump(of_a_dead_letter: bool) -> None:
    kafka = FakeKafka(10)
    kafka.error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    async def run() -> None:
        sink = sink_over(kafka)
        if of_a_dead_letter:
            await sink.reject(b"junk", BadTrade("not_json", "because"), 8, "ws")
        else:
            await sink.send("BTCUSDT", TRADE, 1, "ws")
        with pytest.raises(KafkaException):
            await asyncio.wait_for(sink.pump(), 10)

    asyncio.run(run())
