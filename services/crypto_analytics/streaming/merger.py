"""Merge a batch: send rejected values to the dead-letter topic, merge the trades, and retry while a store fails."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from crypto_analytics.binance.trade_decoder import Rules, latest_allowed
from crypto_analytics.core.deduplication import PARTIAL_OVERLAP
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.runtime import kafka, metrics
from crypto_analytics.runtime.clock import clock_for, wall_clock
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store import postgres
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.merge import BatchMerge, Merged
from crypto_analytics.store.objects import open_store
from crypto_analytics.store.retryable_errors import is_retryable
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.settings import MergingSettings


class StopRequested(Exception):
    """The service must stop while a store or Kafka is unreachable; the message is the cause.

    Nothing is lost: the next start reads the batch again.
    """


@dataclass(frozen=True)
class BatchResult:
    """The number of records in a batch, the result of the merge, and the number of dead letters by reason."""

    records: int
    merged: Merged
    dead_letters: Counter[str] = field(default_factory=Counter)


@dataclass
class Merger:
    """Merges batches through one database connection, which is opened again after an error."""

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
    """Whether the current batch is retried because a store is unreachable."""

    def merge(self, records: DecodedRecords) -> BatchResult:
        """Merge the trades of ``records``. Their offsets may be committed as soon as this returns.

        Raises:
            StopRequested: the service must stop, and a store or Kafka is unreachable.
            Exception: an error that no retry can fix; nothing of the batch is merged.
        """
        dead_letters: Counter[str] = Counter()
        for value, error, origin in records.rejected:
            self._dead_letter(value, error.reason, error.detail, [("origin", origin)])
            dead_letters[error.reason] += 1
        merged = self._merge_with_retries(records.decoded.by_symbol())
        for symbol, trade in merged.rejected:
            ids = f"{trade.first_id}..{trade.last_id} of {symbol}"
            detail = f"some of the trades {ids} are already merged, and an aggregated trade cannot be split"
            self._dead_letter(trade.raw, PARTIAL_OVERLAP, detail)
            dead_letters[PARTIAL_OVERLAP] += 1
        self._flush_dead_letters()
        return BatchResult(len(records), merged, dead_letters)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _merge_with_retries(self, trades: dict[str, TradeColumns]) -> Merged:
        batch = BatchMerge(self.archive, trades)
        delays = backoff()
        while True:
            try:
                if self._connection is None:
                    self._connection = self.connect()
                merged = batch.run(self._connection)
            except Exception as error:  # is_retryable decides for all kinds of errors
                self.close()
                if not is_retryable(error):
                    raise
                self.waiting = True
                metrics.BATCH_RETRIES.inc()
                delay = next(delays)
                self.log.warning("batch_merge_failed", error=str(error).strip(), retry_in_seconds=round(delay, 2))
                if self.stop.wait(delay):
                    raise StopRequested(str(error).strip()) from error
            else:
                self.waiting = False
                if merged.unlisted:
                    next_step = "nothing: the orphan cleanup (sweep) deletes them"
                    self.log.info("orphans_left", count=merged.unlisted, next=next_step)
                return merged

    def _dead_letter(self, value: bytes, reason: str, detail: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        while True:
            try:
                kafka.dead_letter(
                    self.dead_letters,
                    self.dead_letter_topic,
                    value,
                    reason=reason,
                    detail=detail,
                    headers=headers,
                    on_delivery=self._on_delivery,
                )
            except BufferError:  # the client's queue is full: wait for deliveries
                self.dead_letters.poll(0.5)
                if self.stop.is_set():
                    raise StopRequested("the queue of dead letters is full: Kafka takes none") from None
            else:
                return

    def _flush_dead_letters(self) -> None:
        while self.dead_letters.flush(0.5):
            if self.stop.is_set():
                raise StopRequested("Kafka does not acknowledge the dead letters")
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error


def open_merger(
    settings: MergingSettings, name: str, stop: threading.Event, log: structlog.stdlib.BoundLogger
) -> Merger:
    """Return a merger with clients for ``settings``; ``name`` is its application name in PostgreSQL."""
    return Merger(
        connect=lambda: postgres.connect(settings, name),
        archive=RawArchive(open_store(settings), settings.BUCKET_RAW),
        dead_letters=kafka.producer(settings),
        dead_letter_topic=settings.KAFKA_TOPIC_DLQ,
        rules=trade_rules(settings),
        stop=stop,
        log=log,
    )


def trade_rules(settings: MergingSettings) -> Callable[[], Rules]:
    """Return a function that returns the validation rules at the time of the call."""
    now = clock_for(settings.AS_OF)
    symbols = frozenset(settings.SYMBOLS)
    return lambda: Rules(symbols, latest_allowed(now(), settings.MAX_FUTURE_SECONDS))


def update_metrics(results: Iterable[BatchResult], seconds: float) -> None:
    """Add a batch to the metrics: the ``results`` of its parts, and the ``seconds`` that it took as a whole."""
    metrics.BATCHES.inc()
    metrics.BATCH_SECONDS.observe(seconds)
    now = wall_clock()
    for result in results:
        metrics.TRADES_CONSUMED.inc(result.records)
        metrics.TRADES_MERGED.inc(result.merged.trades)
        metrics.TRADES_DEDUPLICATED.inc(result.merged.duplicates)
        metrics.TRADES_ARCHIVED.inc(result.merged.archived)
        for oldest in result.merged.oldest:
            metrics.TRADE_TO_VISIBLE.observe((now - oldest) / SECOND)
