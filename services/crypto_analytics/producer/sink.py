"""Send trades and dead letters to Kafka. A full sink makes its caller wait; it never drops a record."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Literal, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from crypto_analytics.binance.trade_decoder import BadTrade
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.core.trades import Trade
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.runtime.kafka import dead_letter

Source = Literal["ws", "rest"]
Header = tuple[str, str | bytes | None]

_PUMP_SECONDS = 0.02
_SAMPLE_EVERY = 64
_TRIES_BEFORE_WARNING = 250  # five seconds without room in the queue

log = structlog.get_logger("producer.sink")


class Sink(Protocol):
    """Takes trades and dead letters; both methods wait while its queue is full."""

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Send ``trade``, received at ``received_at`` (microseconds since the epoch)."""
        ...

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Send a value that failed validation to the dead letters, with the reason."""
        ...


class KafkaSink:
    """Writes to the trades topic and the dead-letter topic.

    :meth:`pump` handles Kafka's acknowledgements and must run beside the senders. If Kafka refuses a record for good,
    the pump ends with a ``KafkaException``, and the next start finds the missing ids.
    """

    def __init__(self, kafka: Producer, topic: str, dead_letter_topic: str, *, sample_latency: bool = True) -> None:
        """Write to ``topic``; ``sample_latency`` is False if trade times are not near the present, as in a replay."""
        self._kafka = kafka
        self._topic = topic
        self._dead_letter_topic = dead_letter_topic
        self._sample = sample_latency
        self._failure: KafkaError | None = None
        self._sent = 0
        self._produced: dict[Source, int] = {"ws": 0, "rest": 0}
        self._sources: dict[Source, Header] = {"ws": ("source", "ws"), "rest": ("source", "rest")}

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Queue the bytes of ``trade`` as received; the record's key is its symbol."""
        self._sent += 1
        if self._sample and self._sent % _SAMPLE_EVERY == 0 and source == "ws":
            acknowledge: Callable[[KafkaError | None, Message], None] = partial(self._acknowledged_sample, trade.time)
        else:
            acknowledge = self._acknowledged
        headers: list[Header] = [("received_at", str(received_at)), self._sources[source]]
        try:
            self._kafka.produce(self._topic, trade.raw, symbol, headers=headers, on_delivery=acknowledge)
        except BufferError:
            await self._retry_when_full(
                lambda: self._kafka.produce(self._topic, trade.raw, symbol, headers=headers, on_delivery=acknowledge)
            )
        self._produced[source] += 1

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Queue ``value`` for the dead-letter topic."""
        headers = [("received_at", str(received_at)), ("source", source)]
        await self._retry_when_full(
            lambda: dead_letter(
                self._kafka,
                self._dead_letter_topic,
                value,
                reason=why.reason,
                detail=why.detail,
                headers=headers,
                on_delivery=self._acknowledged,
            )
        )

    async def _retry_when_full(self, produce: Callable[[], None]) -> None:
        for tries in count(1):
            try:
                produce()
            except BufferError:
                self._handle_acknowledgements()
                if tries == _TRIES_BEFORE_WARNING:
                    log.warning("kafka_queue_blocked", next="check Kafka; the stream waits until Kafka takes records")
                await asyncio.sleep(_PUMP_SECONDS)
            else:
                return

    async def pump(self) -> None:
        """Handle Kafka's acknowledgements until cancelled.

        Raises:
            KafkaException: Kafka refuses a record, or this producer, for good.
        """
        while True:
            self._handle_acknowledgements()
            await asyncio.sleep(_PUMP_SECONDS)

    def _handle_acknowledgements(self) -> None:
        self._kafka.poll(0)
        for source, sent in self._produced.items():
            metrics.TRADES_PRODUCED.labels(source).inc(sent)
            self._produced[source] = 0
        if self._failure is not None:
            raise KafkaException(self._failure)

    def flush(self, seconds: float) -> int:
        """Wait up to ``seconds`` for the outstanding acknowledgements; return how many are still missing.

        Raises:
            KafkaException: Kafka refused a record for good.
        """
        left: int = self._kafka.flush(seconds)
        self._handle_acknowledgements()
        return left

    def _acknowledged(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = self._failure or error

    def _acknowledged_sample(self, trade_time: int, error: KafkaError | None, message: Message) -> None:
        self._acknowledged(error, message)
        if error is None:
            metrics.TRADE_TO_KAFKA.observe(max(0, wall_clock() - trade_time) / SECOND)
