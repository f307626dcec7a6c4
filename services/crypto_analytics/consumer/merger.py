"""The work on one batch: decode, dead-letter what is bad, merge the rest, however often a store goes away meanwhile."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from crypto_analytics.binance.wire import Rules, decode_batch
from crypto_analytics.core.dedup import PARTIAL_OVERLAP
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.runtime.kafka import dead_letter
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.errors import is_retryable
from crypto_analytics.store.merge import Merged, merge_batch


class Stopped(Exception):
    """The service was asked to stop while a store was away. Nothing is lost: the next start reads the batch again."""


@dataclass
class Merger:
    """Merges batches through one connection, which it opens again after a failure."""

    connect: Callable[[], psycopg.Connection]
    archive: RawArchive
    dead_letters: Producer
    dead_letter_topic: str
    rules: Callable[[], Rules]
    stop: threading.Event
    log: structlog.stdlib.BoundLogger
    _connection: psycopg.Connection | None = None
    _failure: KafkaError | None = None
    waiting: bool = False
    """Whether a store is away at this moment."""

    def work(self, messages: Sequence[Message]) -> Merged:
        """Merge the trades in ``messages``; when this returns, their offsets may be committed.

        Raises:
            Stopped: a store was away when the stop came.
            Exception: what no retry can mend; nothing of the batch is merged.
        """
        started = time.monotonic()
        decoded = decode_batch([message.value() or b"" for message in messages], self.rules())
        for position, error in decoded.bad:
            message = messages[position]
            origin = f"{message.topic()}/{message.partition()}/{message.offset()}"
            self._dead_letter(message.value() or b"", error.reason, error.detail, [("origin", origin)])
        merged = self._merge(decoded.trades)
        for symbol, trade in merged.rejected:
            ids = f"{symbol} ids {trade.first_id}..{trade.last_id}"
            self._dead_letter(
                trade.raw, PARTIAL_OVERLAP, f"{ids} are merged in part, and the rest cannot be told apart"
            )
        self._flush_dead_letters()
        _count(merged, len(messages), time.monotonic() - started)
        return merged

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _merge(self, trades: dict[str, TradeColumns]) -> Merged:
        delays = backoff()
        while True:
            try:
                if self._connection is None:
                    self._connection = self.connect()
                merged = merge_batch(self._connection, self.archive, trades)
            except Exception as error:  # is_retryable is the one place that decides
                self.close()
                if not is_retryable(error):
                    raise
                self.waiting = True
                metrics.BATCH_RETRIES.inc()
                delay = next(delays)
                self.log.warning("store_away", error=str(error).strip(), retry_in_seconds=round(delay, 2))
                if self.stop.wait(delay):
                    raise Stopped from error
            else:
                self.waiting = False
                return merged

    def _dead_letter(self, value: bytes, reason: str, detail: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        while True:
            try:
                dead_letter(
                    self.dead_letters,
                    self.dead_letter_topic,
                    value,
                    reason=reason,
                    detail=detail,
                    headers=headers,
                    on_delivery=self._on_delivery,
                )
            except BufferError:  # the queue is full: wait for the broker to take some
                self.dead_letters.poll(0.5)
                if self.stop.is_set():
                    raise Stopped from None
            else:
                return

    def _flush_dead_letters(self) -> None:
        while self.dead_letters.flush(0.5):
            if self.stop.is_set():
                raise Stopped
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error


def _count(merged: Merged, records: int, seconds: float) -> None:
    metrics.TRADES_CONSUMED.inc(records)
    metrics.TRADES_MERGED.inc(merged.trades)
    metrics.TRADES_DUPLICATE.inc(merged.duplicates)
    metrics.TRADES_ARCHIVED.inc(merged.archived)
    metrics.BATCHES.inc()
    metrics.BATCH_SECONDS.observe(seconds)
    now = wall_clock()
    for oldest in merged.oldest:
        metrics.TRADE_TO_VISIBLE.observe((now - oldest) / SECOND)
