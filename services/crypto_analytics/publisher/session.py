"""Publish changed candles over one connection to PostgreSQL and one Kafka producer, until either fails."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import islice

import structlog

from crypto_analytics.core.minutes import SECOND
from crypto_analytics.publisher import messages
from crypto_analytics.publisher.feed import CandleFeed
from crypto_analytics.publisher.lag import PublishLag
from crypto_analytics.publisher.published import LiveKeys, PublishedTail, partitions_of_symbols
from crypto_analytics.publisher.topic_reader import TopicReader
from crypto_analytics.publisher.topic_writer import TopicWriter
from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.health import Health

_BATCH_CANDLES = 2_000
_BATCH_SYMBOLS = 50
_WAIT_SECONDS = 0.5
_OVERDUE_SECONDS = 10.0  # not ready while an acknowledgement takes longer
_PROGRESS_SECONDS = 5.0


class TableOlder(Exception):
    """The table has older candles than it had: the database was restored or created anew."""


class Session:
    """The state that is lost with a connection: which revision of each symbol is published."""

    def __init__(
        self,
        feed: CandleFeed,
        reader: TopicReader,
        writer: TopicWriter,
        *,
        check_seconds: float,
        check: Callable[[], None],
        health: Health,
        lag: PublishLag,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """``check`` is called often; the exceptions that it raises end the session."""
        self._feed = feed
        self._reader = reader
        self._writer = writer
        self._check_seconds = check_seconds
        self._check = check
        self._health = health
        self._lag = lag
        self._log = log
        self._partitions = 0
        self._partition_of: dict[str, int] = {}
        self._published: dict[str, int] = {}

    def wait_for_lock(self, name: str) -> None:
        """Take the lock ``name``, which another publisher may hold."""
        is_logged = False
        while not self._feed.try_lock(name):
            if not is_logged:
                self._log.warning("lock_held", next="nothing: another publisher runs; this one takes over when it ends")
                is_logged = True
            self._check()
            time.sleep(_WAIT_SECONDS)

    def resume(self) -> None:
        """Read from the topic which revisions are published, and remove candles that the table does not have."""
        tails: dict[tuple[str, int], PublishedTail] = defaultdict(PublishedTail)
        foreign = 0

        def add(number: int, key: bytes, value: bytes | None) -> None:
            nonlocal foreign
            if (candle := messages.parse_key(key)) is None:
                foreign += 1
            else:
                message = None if value is None else messages.parse_value(value)
                tails[candle.symbol, number].add(candle.open_time, message)

        self._feed.listen()
        self._partitions = self._reader.partition_count()
        self._writer.start_after(self._reader.read(range(self._partitions), add))
        self._partition_of = partitions_of_symbols(tails)
        self._published = {symbol: tails[symbol, number].revision for symbol, number in self._partition_of.items()}
        self._log.info("topic_read", symbols=len(self._published))
        if foreign:
            self._log.warning("foreign_messages_ignored", messages=foreign, next="find the program that wrote them")
        candles = ((symbol, open_time) for (symbol, _), tail in tails.items() for open_time in tail.recent)
        stored = self._feed.stored(candles)
        outdated = {
            (symbol, number)
            for (symbol, number), tail in tails.items()
            if self._partition_of[symbol] != number or tail.revision == 0 or tail.is_ahead(stored[symbol])
        }
        if any(tails[pair].revision for pair in outdated):
            self._log.warning(
                "topic_differs_from_table",
                symbols=sorted({symbol for symbol, _ in outdated}),
                cause="the database was restored or created anew, or another program wrote to the topic",
                next="nothing: the candles of these symbols are published again, and those without a row are removed",
            )
        if outdated:
            self._remove(outdated)
            self._published.update((symbol, 0) for symbol, number in outdated if self._partition_of[symbol] == number)

    def _remove(self, outdated: Collection[tuple[str, int]]) -> None:
        """Write a tombstone for each candle of ``outdated``, pairs of symbol and partition, that does not belong there.

        That is a candle without a row in the table, and any candle in a partition that is not its symbol's.
        """
        keys: dict[tuple[str, int], LiveKeys] = {pair: LiveKeys() for pair in outdated}

        def add(number: int, key: bytes, value: bytes | None) -> None:
            candle = messages.parse_key(key)
            if candle is not None and (candle.symbol, number) in keys:
                keys[candle.symbol, number].add(candle.open_time, tombstone=value is None)

        self._reader.read(sorted({number for _, number in outdated}), add)
        removed = 0
        for (symbol, number), live in keys.items():
            open_times = iter(live.open_times())
            while batch := list(islice(open_times, _BATCH_CANDLES)):
                gone = self._feed.missing(symbol, batch) if self._partition_of[symbol] == number else batch
                for open_time in gone:
                    self._writer.send(number, messages.key(symbol, open_time), None)
                self._flush()
                removed += len(gone)
        if removed:
            self._log.warning("candles_removed", candles=removed)

    def stream(self) -> None:
        """Publish changes as they are committed.

        Raises:
            TableOlder: a symbol's newest revision is smaller than the published one.
            TopicReset: the topic ends before a message that it had.
            KafkaException, psycopg.Error: from the servers.
        """
        changed: set[str] = set()
        published, is_behind, next_check, next_report = 0, True, 0.0, time.monotonic() + _PROGRESS_SECONDS
        while True:
            self._check()
            if time.monotonic() >= next_check:
                changed |= self._look()
                self._health.ready = True
                next_check = time.monotonic() + self._check_seconds
            for symbols in _chunks(sorted(changed), _BATCH_SYMBOLS):
                published += self._publish(symbols, changed)
            if changed:
                changed |= self._feed.wait(0)
            else:
                self._lag.clear()
                if is_behind:
                    self._log.info("caught_up", candles=published)
                    is_behind = False
                changed = self._feed.wait(_WAIT_SECONDS)
            if is_behind and time.monotonic() >= next_report:
                self._log.info("publication_continues", candles=published)
                next_report = time.monotonic() + _PROGRESS_SECONDS

    def _look(self) -> set[str]:
        """Return the symbols with unpublished changes; compare the states of table and topic with the known ones."""
        for number in range(self._partitions):
            self._writer.check_end(number, self._reader.end(number))
        newest = self._feed.newest_revisions()
        for symbol, revision in self._published.items():
            if newest.get(symbol, 0) < revision:
                raise TableOlder(
                    f"{symbol} has revision {newest.get(symbol, 0)} in the table, and {revision} in the topic"
                )
        return {symbol for symbol, revision in newest.items() if revision > self._published.get(symbol, 0)}

    def _publish(self, symbols: Collection[str], changed: set[str]) -> int:
        """Publish a batch of ``symbols``, drop those without further changes from ``changed``; return its size."""
        limit = max(1, _BATCH_CANDLES // len(symbols))
        batch = self._feed.changes({symbol: self._published.get(symbol, 0) for symbol in symbols}, limit)
        if batch:
            self._lag.set(min(change.updated_at for change in batch) / SECOND)
        for change in batch:
            number = self._partition_of.setdefault(change.symbol, messages.partition(change.symbol, self._partitions))
            self._writer.send(number, messages.key(change.symbol, change.open_time), messages.value(change))
        self._flush()
        self._health.ready = True
        self._published.update((change.symbol, change.revision) for change in batch)
        counts = Counter(change.symbol for change in batch)
        changed.difference_update(symbol for symbol in symbols if counts[symbol] < limit)
        metrics.CANDLES_PUBLISHED.inc(len(batch))
        return len(batch)

    def _flush(self) -> None:
        started = time.monotonic()
        while not self._writer.flush(_WAIT_SECONDS):
            self._check()
            if time.monotonic() - started > _OVERDUE_SECONDS:
                self._health.ready = False


def _chunks(symbols: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(symbols), size):
        yield symbols[start : start + size]
