"""Up to which trade each symbol was sent by earlier runs: read back from the end of the trades topic.

The stream's own records (source ``ws``) are written in the order of the stream, and a gap in it is repaired after it
was noticed. So from a symbol's oldest stream record in view on, every id that the topic holds is in view, and what is
missing between them is a gap that outlived the earlier run. Repaired records alone say less: they may lie anywhere.
Repairs go on beside the stream for a while, so the view also reaches back ``LEAST_SECONDS`` from the end of each
partition. Gaps before it are not seen here; those the database lists are found by ``gaps``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from crypto_analytics.binance.wire import BadTrade, Rules, decode_one
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.runtime.kafka import consume

LEAST_SECONDS = 120.0

_FIRST_WINDOW = 10_000
_IDLE_SECONDS = 30.0
_CALL_SECONDS = 5.0  # a blocked call delays a stop by this much
_POLL_SECONDS = 0.5
_POLL_RECORDS = 5_000
_ANY_TIME = 2**62

log = structlog.get_logger("producer.topic_tail")


class TopicMissing(Exception):
    """The trades topic does not exist."""


class TailUnreadable(Exception):
    """The broker answers, but the records it says are there do not come."""


@dataclass
class TailIndex:
    """What the records seen so far say of each of ``symbols``. Pure; records may be added in any order."""

    symbols: frozenset[str]
    _held: dict[str, IdRanges] = field(default_factory=dict)
    _oldest_streamed: dict[str, int] = field(default_factory=dict)

    def add(self, value: bytes, *, streamed: bool) -> None:
        """Note a record's value; ``streamed`` tells a record of the stream from a repaired one."""
        try:
            symbol, trade = decode_one(value, Rules(self.symbols, _ANY_TIME))
        except BadTrade:
            return  # of a symbol no longer configured, or not written by this platform: no part of any sequence
        self._held.setdefault(symbol, IdRanges()).add(trade.first_id, trade.last_id)
        if streamed:
            self._oldest_streamed[symbol] = min(trade.first_id, self._oldest_streamed.get(symbol, trade.first_id))

    def is_complete(self) -> bool:
        """Whether a record of the stream was seen for every symbol, so that reading further back adds nothing."""
        return len(self._oldest_streamed) == len(self.symbols)

    def result(self) -> dict[str, IdRanges]:
        """Return the ids sent per symbol from its oldest stream record on; of the newest run alone without one."""
        sent: dict[str, IdRanges] = {}
        for symbol, held in self._held.items():
            runs = list(held)
            start = self._oldest_streamed.get(symbol, runs[-1].first)
            sent[symbol] = IdRanges(run for run in runs if run.last >= start)
        return sent


def windows(low: int, high: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield offset ranges [start, stop) from the end ``high`` of a partition back to its beginning ``low``.

    Each is as long as all before it together, and all together are at most ``most`` offsets.
    """
    end, size = high, _FIRST_WINDOW
    low = max(low, high - most)
    while end > low:
        start = max(low, high - size)
        yield start, end
        end, size = start, size * 2


def read_sent_ids(
    consumer: Consumer,
    topic: str,
    symbols: Sequence[str],
    most: int,
    stop: Event,
    *,
    least_seconds: float = LEAST_SECONDS,
) -> dict[str, IdRanges]:
    """Return the ids sent per symbol, read back from the end of each partition; stops early if asked to.

    At most ``most`` records a partition are read, and no more than are needed: a record of the stream for each symbol,
    and those of the last ``least_seconds`` before the partition's end.

    Raises:
        TopicMissing: the topic does not exist.
        TailUnreadable: the records do not come.
        KafkaException: the broker cannot be reached or refuses.
    """
    index = TailIndex(frozenset(symbols))
    views: list[_View] = []
    for partition in _partitions(consumer, topic):
        if stop.is_set():
            break
        low, high = consumer.get_watermark_offsets(partition, timeout=_CALL_SECONDS)
        views.append(_View(partition, windows(low, high, most)))
    while views and not stop.is_set():
        remaining = []
        for view in views:
            if index.is_complete() and view.seconds() >= least_seconds:
                continue
            window = next(view.windows, None)
            if window is not None:
                _read(consumer, view, window, index, stop)
                remaining.append(view)
        views = remaining
    return index.result()


@dataclass
class _View:
    """How far back a partition was read: the times of the oldest and the newest record in view, in milliseconds."""

    partition: TopicPartition
    windows: Iterator[tuple[int, int]]
    oldest: int | None = None
    newest: int | None = None

    def note(self, time: int) -> None:
        """Note that a record of this ``time`` is in view."""
        self.oldest = time if self.oldest is None else min(self.oldest, time)
        self.newest = time if self.newest is None else max(self.newest, time)

    def seconds(self) -> float:
        """Return the seconds between the oldest and the newest record in view."""
        return 0.0 if self.oldest is None or self.newest is None else (self.newest - self.oldest) / 1000


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    try:
        about = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic]
    except KafkaException:
        consumer.poll(0)  # where the login is refused, this call says so; that one only found nobody
        raise
    if about.error is not None and about.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise TopicMissing(f"topic {topic} does not exist; create it, or set KAFKA_TOPIC_TRADES to one that does")
    if about.error is not None:
        raise KafkaException(about.error)
    return [TopicPartition(topic, number) for number in about.partitions]


def _read(consumer: Consumer, view: _View, window: tuple[int, int], index: TailIndex, stop: Event) -> None:
    partition, (start, end) = view.partition, window
    consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
    position, idle = start, 0.0
    while position < end and not stop.is_set():
        messages = consume(consumer, _POLL_RECORDS, _POLL_SECONDS)
        idle = 0.0 if messages else idle + _POLL_SECONDS
        if idle > _IDLE_SECONDS:
            where = f"{partition.topic}[{partition.partition}]"
            raise TailUnreadable(f"{where} ends at {end}, but nothing comes after {position}; check the broker's log")
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                position = end
                continue
            offset = message.offset()
            if offset is not None and offset < end:
                index.add(message.value() or b"", streamed=_is_streamed(message))
                view.note(message.timestamp()[1])
                position = offset + 1
            else:
                position = end
    consumer.unassign()


def _is_streamed(message: Message) -> bool:
    return ("source", b"rest") not in (message.headers() or [])
