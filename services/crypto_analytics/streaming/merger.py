"""The work on one batch: dead-letter what is bad, merge the rest, however often a store goes away meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from crypto_analytics.binance.wire import Rules, latest_allowed
from crypto_analytics.core.deduplication import PARTIAL_OVERLAP
from crypto_analytics.core.minutes import SECOND
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.runtime import kafka, metrics
from crypto_analytics.runtime.clock import clock_for, wall_clock
from crypto_analytics.runtime.retry import backoff
from crypto_analytics.store import postgres
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.errors import is_retryable
from crypto_analytics.store.merge import BatchMerge, Merged
from crypto_analytics.store.objects import open_store
from crypto_analytics.streaming.decoded_records import Records
from crypto_analytics.streaming.settings import MergingSettings


class Stopped(Exception):
    """The service was asked to stop while a store was away. Nothing is lost: the next start reads the batch again."""


@dataclass(frozen=True)
class Work:
    """What was done with some records: how many there were, and what of them was merged.

    ``dead_letters`` counts those that could not be used, by reason.
    """

    records: int
    merged: Merged
    dead_letters: Counter[str] = field(default_factory=Counter)


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

    def work(self, records: Records) -> Work:
        """Merge the trades in ``records``; when this returns, their offsets may be committed.

        Raises:
            Stopped: a store was away when the stop came.
            Exception: what no retry can mend; nothing of the batch is merged.
        """
        refused: Counter[str] = Counter()
        for value, error, origin in records.refused:
            self._dead_letter(value, error.reason, error.detail, [("origin", origin)])
            refused[error.reason] += 1
        merged = self._merge(records.decoded.by_symbol())
        for symbol, trade in merged.rejected:
            ids = f"{symbol} ids {trade.first_id}..{trade.last_id}"
            self._dead_letter(
                trade.raw, PARTIAL_OVERLAP, f"{ids} are merged in part, and the rest cannot be told apart"
            )
            refused[PARTIAL_OVERLAP] += 1
        self._flush_dead_letters()
        return Work(len(records), merged, refused)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _merge(self, trades: dict[str, TradeColumns]) -> Merged:
        batch = BatchMerge(self.archive, trades)
        delays = backoff()
        while True:
            try:
                if self._connection is None:
                    self._connection = self.connect()
                merged = batch.run(self._connection)
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
                if merged.unlisted:
                    self.log.info("objects_left", count=merged.unlisted, next="the orphan cleanup removes them")
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


def open_merger(
    settings: MergingSettings, name: str, stop: threading.Event, log: structlog.stdlib.BoundLogger
) -> Merger:
    """Return the merger that ``settings`` describe, with its real clients; ``name`` is who the database sees."""
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
    """Return a function that returns what a good trade must satisfy at the time of the call."""
    now = clock_for(settings.AS_OF)
    symbols = frozenset(settings.SYMBOLS)
    return lambda: Rules(symbols, latest_allowed(now(), settings.MAX_FUTURE_SECONDS))


def count(works: Iterable[Work], seconds: float) -> None:
    """Count in the metrics what was done, in ``seconds``, with the records of a batch: in one piece, or in several."""
    metrics.BATCHES.inc()
    metrics.BATCH_SECONDS.observe(seconds)
    now = wall_clock()
    for work in works:
        metrics.TRADES_CONSUMED.inc(work.records)
        metrics.TRADES_MERGED.inc(work.merged.trades)
        metrics.TRADES_DEDUPLICATED.inc(work.merged.duplicates)
        metrics.TRADES_ARCHIVED.inc(work.merged.archived)
        for oldest in work.merged.oldest:
            metrics.TRADE_TO_VISIBLE.observe((now - oldest) / SECOND)
