"""Where trades go: Kafka, or memory. A sink that is full makes its caller wait; it never drops."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Literal, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from crypto_analytics.binance.wire import BadTrade
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.core.trades import Trade
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.runtime.kafka import dead_letter

Source = Literal["ws", "rest"]
Header = tuple[str, str | bytes | None]

_PUMP_SECONDS = 0.02
_SAMPLE_EVERY = 64
_TRIES_TO_TELL = 250  # five seconds without room

log = structlog.get_logger("producer.sink")


class Sink(Protocol):
    """Takes trades and dead letters; both calls wait while there is no room."""

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Take ``trade``, received at ``received_at`` (us)."""
        ...

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Take a value that cannot be used, with its reason."""
        ...


@dataclass
class MemorySink:
    """Keeps what it is given: (symbol, trade, source) and (value, reason, source)."""

    trades: list[tuple[str, Trade, Source]] = field(default_factory=list)
    rejected: list[tuple[bytes, str, Source]] = field(default_factory=list)

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Keep ``trade``."""
        self.trades.append((symbol, trade, source))

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Keep ``value``."""
        self.rejected.append((value, why.reason, source))


class KafkaSink:
    """Writes to the trades topic and the dead-letter topic.

    Kafka's acknowledgements are looked at in :meth:`pump`, which must run beside the senders. Whatever Kafka
    refuses for good ends the pump with a ``KafkaException``: the records are then found missing at the next start.
    """

    def __init__(self, kafka: Producer, topic: str, dead_letter_topic: str, *, sample_latency: bool = True) -> None:
        """``sample_latency`` is False where trade times have nothing to do with now, as in a replay."""
        self._kafka = kafka
        self._topic = topic
        self._dead_letter_topic = dead_letter_topic
        self._sample = sample_latency
        self._failure: KafkaError | None = None
        self._sent = 0
        self._produced: dict[Source, int] = {"ws": 0, "rest": 0}
        self._sources: dict[Source, Header] = {"ws": ("source", "ws"), "rest": ("source", "rest")}

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Queue ``trade`` under its symbol, as received."""
        self._sent += 1
        if self._sample and self._sent % _SAMPLE_EVERY == 0 and source == "ws":
            acknowledge: Callable[[KafkaError | None, Message], None] = partial(self._acknowledged_sample, trade.time)
        else:
            acknowledge = self._acknowledged
        headers: list[Header] = [("received_at", str(received_at)), self._sources[source]]
        try:
            self._kafka.produce(self._topic, trade.raw, symbol, headers=headers, on_delivery=acknowledge)
        except BufferError:
            await self._when_room(
                lambda: self._kafka.produce(self._topic, trade.raw, symbol, headers=headers, on_delivery=acknowledge)
            )
        self._produced[source] += 1

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Queue ``value`` for the dead-letter topic."""
        headers = [("received_at", str(received_at)), ("source", source)]
        await self._when_room(
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

    async def _when_room(self, produce: Callable[[], None]) -> None:
        for tries in count(1):
            try:
                produce()
            except BufferError:
                self._serve()
                if tries == _TRIES_TO_TELL:
                    log.warning("kafka_queue_full", next="check Kafka; the stream is held back until it takes records")
                await asyncio.sleep(_PUMP_SECONDS)
            else:
                return

    async def pump(self) -> None:
        """Look at Kafka's acknowledgements until cancelled.

        Raises:
            KafkaException: Kafka refuses a record, or this producer, for good.
        """
        while True:
            self._serve()
            await asyncio.sleep(_PUMP_SECONDS)

    def _serve(self) -> None:
        self._kafka.poll(0)
        for source, sent in self._produced.items():
            metrics.TRADES_PRODUCED.labels(source).inc(sent)
            self._produced[source] = 0
        if self._failure is not None:
            raise KafkaException(self._failure)

    def flush(self, seconds: float) -> int:
        """Wait up to ``seconds`` for the outstanding acknowledgements; return how many are still missing."""
        left: int = self._kafka.flush(seconds)
        self._serve()
        return left

    def _acknowledged(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = self._failure or error

    def _acknowledged_sample(self, trade_time: int, error: KafkaError | None, message: Message) -> None:
        self._acknowledged(error, message)
        if error is None:
            metrics.EXCHANGE_TO_KAFKA.observe(max(0, wall_clock() - trade_time) / SECOND)
