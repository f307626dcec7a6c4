"""Trades of the stream from the end of Kafka's topic, single and as aggregated ones, while somebody follows some.

A live view: nothing is read again, and no offset is committed. Where it falls behind it continues at the end.
"""

import asyncio
import threading
import time

from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition
from structlog.stdlib import BoundLogger

from crypto_analytics.api import metrics
from crypto_analytics.api.live import messages
from crypto_analytics.api.live.clients import Hub
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.retry import backoff

_MOST_BEHIND_SECONDS = 5.0
_BATCH = 2_000
_POLL_SECONDS = 0.1
_METADATA_SECONDS = 5.0
_IDLE_SECONDS = 10.0
_LOOP_SECONDS = 30.0


class TradeFeed:
    """Publishes the trades of followed symbols; its thread runs while there are any."""

    def __init__(self, settings: ApiSettings, hub: Hub, log: BoundLogger) -> None:
        self.is_available = bool(settings.KAFKA_BOOTSTRAP_SERVERS)
        self._settings = settings
        self._hub = hub
        self._log = log
        self._symbols: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._reported: set[str] = set()

    def update(self) -> None:
        """Start or stop reading; called in the event loop when clients follow or leave streams."""
        self._symbols = frozenset(self._hub.symbols_with("aggTrade")).union(self._hub.symbols_with("trade"))
        if self._symbols and self.is_available and (self._thread is None or not self._thread.is_alive()):
            loop = asyncio.get_running_loop()
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, args=(loop,), name="trades", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread end."""
        self._stop.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        delays = backoff(0.2, 5.0)
        while self._is_needed():
            client = kafka.consumer(
                self._settings, "api", **{"queued.max.messages.kbytes": 2048, "allow.auto.create.topics": False}
            )
            try:
                self._read(client, loop)
            except KafkaException as error:
                self._log.warning("trades_unreadable", cause=str(error), next="check KAFKA_*; it is retried")
                self._stop.wait(next(delays))
            finally:
                client.close()

    def _is_needed(self) -> bool:
        return bool(self._symbols) and not self._stop.is_set()

    def _read(self, client: Consumer, loop: asyncio.AbstractEventLoop) -> None:
        topic = self._settings.KAFKA_TOPIC_TRADES
        known = client.list_topics(topic, _METADATA_SECONDS).topics[topic]
        if known.error is not None:
            raise KafkaException(known.error)
        ends = [TopicPartition(topic, partition, OFFSET_END) for partition in known.partitions]
        client.assign(ends)
        needed = time.monotonic()
        while not self._stop.is_set():
            if self._symbols:
                needed = time.monotonic()
            elif time.monotonic() - needed > _IDLE_SECONDS:
                return
            batch = kafka.consume(client, _BATCH, _POLL_SECONDS)
            trades = [message for message in batch if message.error() is None]
            for error in filter(None, (message.error() for message in batch)):
                # The client goes on by itself: after what ends it, it raises.
                self._report(error.name(), error.str(), "check KAFKA_* and the ACLs of this login")
            if not trades:
                continue
            if _seconds_behind(trades[0]) > _MOST_BEHIND_SECONDS:
                metrics.PUSH_TRADES_SKIPPED.inc(len(trades))
                client.assign(ends)
                continue
            # One batch at a time: where the event loop is slow, this thread waits and then skips.
            done = asyncio.run_coroutine_threadsafe(self._publish(trades), loop)
            try:
                done.result(_LOOP_SECONDS)
            except TimeoutError:
                done.cancel()
                metrics.PUSH_TRADES_SKIPPED.inc(len(trades))
                self._report("loop", f"the event loop took longer than {_LOOP_SECONDS:.0f} s", "give the api more CPU")

    def _report(self, kind: str, cause: str, following: str) -> None:
        """Count an error, and log the first one of each kind."""
        metrics.PUSH_TRADES_ERRORS.inc()
        if kind not in self._reported:
            self._reported.add(kind)
            self._log.warning("trades_error", kind=kind, cause=cause, next=following)

    async def _publish(self, trades: list[Message]) -> None:
        arrived = time.monotonic()
        for message in trades:
            key, value = message.key(), message.value()
            if key is None or value is None or kafka.is_repaired(message):
                continue  # at the exchange, the ids of a stream only grow
            try:
                self._publish_trade(key.decode().lower(), value, arrived)
            except (
                ValueError,
                KeyError,
                TypeError,
                RecursionError,
            ) as error:  # only the producer validates what is in the topic
                self._report("value", repr(error), "see which program writes to the topic of trades")

    def _publish_trade(self, symbol: str, value: bytes, arrived: float) -> None:
        """Publish a trade. Raises ValueError, KeyError, TypeError or RecursionError if it is none."""
        is_single = value.startswith(b'{"e":"trade"')
        for stream in self._hub.streams(symbol):
            if stream.kind == "trade" and is_single:
                self._hub.publish(Pushed(stream, messages.trade(value, stream.unit), arrived))
            elif stream.kind == "aggTrade":
                self._hub.publish(Pushed(stream, messages.aggregated(value, stream.unit), arrived))


def _seconds_behind(message: Message) -> float:
    _, milliseconds = message.timestamp()
    return time.time() - float(milliseconds) / 1000
