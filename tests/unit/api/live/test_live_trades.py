"""The reader of trades: an error or a value that is no trade is counted and logged once, and the next trades arrive."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError
from pydantic import SecretStr
from structlog.testing import capture_logs

from crypto_analytics.api import metrics
from crypto_analytics.api.live import trades
from crypto_analytics.api.live.clients import EventClient, Hub
from crypto_analytics.api.live.streams import parse
from crypto_analytics.api.live.trades import TradeFeed
from crypto_analytics.api.settings import ApiSettings

# As the producer receives it, in microseconds.
TRADE = (
    b'{"e":"trade","E":1741046401272345,"s":"BTCUSDT","t":7,"p":"1.0","q":"2.0","T":1741046401271999,"m":true,"M":true}'
)
SETTINGS = ApiSettings(
    KAFKA_BOOTSTRAP_SERVERS="kafka:9092",
    POSTGRES_USER="reader",
    POSTGRES_PASSWORD=SecretStr("x"),
    OBJECT_STORE="directory",
    OBJECT_STORE_DIR="objects",
)


class Record:
    """A record of Kafka, or an error in its place."""

    def __init__(
        self, key: bytes = b"", value: bytes = b"", error: KafkaError | None = None, source: bytes = b"ws"
    ) -> None:
        self._key, self._value, self._error, self._source = key, value, error, source

    def headers(self) -> list[tuple[str, bytes]]:
        return [("received_at", b"1"), ("source", self._source)]

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def error(self) -> KafkaError | None:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return 1, int(time.time() * 1000)


class Client:
    """A consumer that returns ``batches``, and then nothing."""

    def __init__(self, batches: list[list[Record]]) -> None:
        self._batches = batches

    def list_topics(self, topic: str, _: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions={0: None})})

    def assign(self, _: object) -> None: ...

    def consume(self, _: int, seconds: float) -> list[Record]:
        if self._batches:
            return self._batches.pop(0)
        time.sleep(seconds)
        return []

    def close(self) -> None: ...


def test_trades_go_on_after_errors_and_after_values_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Record(error=KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    values = [b'{"e":"trade"}', b'{"e":"trade",,', b"[7]", b"[" * 100_000, TRADE.replace(b"1741046401271999", b'"x"')]
    wrong = [Record(b"\xff", TRADE), *(Record(b"BTCUSDT", value) for value in values)]
    repaired = Record(b"BTCUSDT", TRADE.replace(b'"t":7', b'"t":3'), source=b"rest")
    client = Client([[refused], [refused, *wrong, repaired, Record(b"BTCUSDT", TRADE)], [Record(b"BTCUSDT", TRADE)]])
    monkeypatch.setattr(trades.kafka, "consumer", lambda *_, **__: client)
    received: list[bytes] = []

    async def run() -> None:
        hub, reader = Hub(), EventClient()
        feed = TradeFeed(SETTINGS, hub, structlog.stdlib.get_logger())
        hub.follow(reader, [parse("btcusdt@aggTrade")])

        async def send(data: bytes) -> None:
            received.append(data)

        async def both() -> None:
            while len(received) < 2:
                await asyncio.sleep(0.01)

        feed.update()
        async with asyncio.timeout(20):
            await reader.serve(send, both())
        feed.close()

    errors = metrics.PUSH_TRADES_ERRORS._value.get()
    with capture_logs() as logged:
        asyncio.run(run())
    assert metrics.PUSH_TRADES_ERRORS._value.get() - errors == 8
    kinds = [entry["kind"] for entry in logged if entry["event"] == "trades_error"]
    assert kinds == ["GROUP_AUTHORIZATION_FAILED", "value"]
    assert all(b'"a":7' in event and b'"T":1741046401271,' in event for event in received)
