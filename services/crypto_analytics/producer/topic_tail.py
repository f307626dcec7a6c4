"""Read from the end of the trades topic which trade ids earlier runs of the producer sent.

The stream's own records (header ``source`` is ``ws``) are written in the stream's order, and a gap is repaired after it
was noticed. So from the oldest stream record of a symbol in the scanned range on, the range holds every id that the
topic holds, and the ids missing between them are gaps that outlived the earlier run. Repaired records alone prove less,
because their ids may lie anywhere. Since repairs run beside the stream for a while, the scanned range also reaches back
``LEAST_SECONDS`` from the end of each partition. The gap check finds older gaps (see ``gap_check``).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from crypto_analytics.binance.trade_decoder import BadTrade, Rules, decode_one
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.settings import ProducerSettings
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.kafka import consume
from crypto_analytics.runtime.retry import backoff

LEAST_SECONDS = 120.0

_FIRST_WINDOW = 10_000
_IDLE_SECONDS = 30.0
_CALL_SECONDS = 5.0  # the longest delay of a stop by a blocked call
_POLL_SECONDS = 0.5
_POLL_RECORDS = 5_000
_ANY_TIME = 2**62
_START_ATTEMPTS = 12  # about a minute for Kafka and its topics to start

log = structlog.get_logger("producer.topic_tail")


class TopicMissing(Exception):
    """The trades topic does not exist."""


class TailUnreadable(Exception):
    """The broker answers, but does not deliver the records below the end offset that it reported."""


@dataclass
class TailIndex:
    """The ids of ``symbols`` in the records read so far. Pure; records may be added in any order."""

    symbols: frozenset[str]
    _held: dict[str, IdRanges] = field(default_factory=dict)
    _oldest_streamed: dict[str, int] = field(default_factory=dict)

    def add(self, value: bytes, *, streamed: bool) -> None:
        """Add a record's value; ``streamed`` is False for a repaired record."""
        try:
            symbol, trade = decode_one(value, Rules(self.symbols, _ANY_TIME))
        except BadTrade:
            return  # a symbol no longer configured, or a value of another program
        self._held.setdefault(symbol, IdRanges()).add(trade.first_id, trade.last_id)
        if streamed:
            self._oldest_streamed[symbol] = min(trade.first_id, self._oldest_streamed.get(symbol, trade.first_id))

    def is_complete(self) -> bool:
        """Return whether every symbol has a record of the stream, so that reading further back adds nothing."""
        return len(self._oldest_streamed) == len(self.symbols)

    def result(self) -> dict[str, IdRanges]:
        """Return the sent ids of each symbol from its oldest stream record on.

        Without a stream record, only the newest unbroken run of ids is returned.
        """
        sent: dict[str, IdRanges] = {}
        for symbol, held in self._held.items():
            runs = list(held)
            start = self._oldest_streamed.get(symbol, runs[-1].first)
            sent[symbol] = IdRanges(run for run in runs if run.last >= start)
        return sent


def windows(low: int, high: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield offset ranges [start, stop) from the end offset ``high`` of a partition back to its first offset ``low``.

    The size doubles with each range; all together they have at most ``most`` offsets.
    """
    end, size = high, _FIRST_WINDOW
    low = max(low, high - most)
    while end > low:
        start = max(low, high - size)
        yield start, end
        end, size = start, size * 2


async def wait_for_sent_ids(settings: ProducerSettings, beat: Callable[[], None], stop: Event) -> dict[str, IdRanges]:
    """Return the sent ids of each symbol, once Kafka answers and the topic exists; retries for about a minute.

    ``beat`` is called with each attempt. The result is empty if ``stop`` is set meanwhile.

    Raises:
        KafkaException: the broker stays unreachable, or refuses the login or the access.
        TopicMissing: the topic is not created in time.
        TailUnreadable: the broker does not deliver the records.
    """
    topic = settings.KAFKA_TOPIC_TRADES
    consumer = kafka.consumer(settings, f"{topic}-tail", **{"enable.partition.eof": True})
    delays = backoff(1.0, 5.0)
    try:
        for attempt in range(1, _START_ATTEMPTS + 1):
            beat()
            try:
                sent = await asyncio.to_thread(
                    read_sent_ids, consumer, topic, settings.SYMBOLS, settings.TAIL_SCAN_RECORDS, stop
                )
            except (KafkaException, TopicMissing) as error:
                refused = isinstance(error, KafkaException) and error.args[0].code() in kafka.REFUSED
                if refused or attempt == _START_ATTEMPTS:
                    raise
                log.warning("topic_read_failed", cause=str(error), attempt=attempt, next="check KAFKA_*; it is retried")
            else:
                log.info("sent_ids_read", newest={symbol: ids.last for symbol, ids in sent.items()})
                return sent
            if await asyncio.to_thread(stop.wait, next(delays)):
                return {}
    finally:
        consumer.close()
    raise AssertionError("the last attempt returns or raises")


def read_sent_ids(
    consumer: Consumer,
    topic: str,
    symbols: Sequence[str],
    most: int,
    stop: Event,
    *,
    least_seconds: float = LEAST_SECONDS,
) -> dict[str, IdRanges]:
    """Return the sent ids of each symbol, read backwards from the end of each partition.

    Reads at most ``most`` records per partition, and stops once each symbol has a record of the stream and the last
    ``least_seconds`` before the partition's end are read, or once ``stop`` is set.

    Raises:
        TopicMissing: the topic does not exist.
        TailUnreadable: the broker does not deliver the records.
        KafkaException: the broker is unreachable, or refuses the login or the access.
    """
    index = TailIndex(frozenset(symbols))
    scans: list[_PartitionScan] = []
    for partition in _partitions(consumer, topic):
        if stop.is_set():
            break
        low, high = consumer.get_watermark_offsets(partition, timeout=_CALL_SECONDS)
        scans.append(_PartitionScan(partition, windows(low, high, most)))
    while scans and not stop.is_set():
        remaining = []
        for scan in scans:
            if index.is_complete() and scan.seconds() >= least_seconds:
                continue
            window = next(scan.windows, None)
            if window is not None:
                _read(consumer, scan, window, index, stop)
                remaining.append(scan)
        scans = remaining
    return index.result()


@dataclass
class _PartitionScan:
    """The scanned range of a partition: the times of its oldest and newest record, in milliseconds."""

    partition: TopicPartition
    windows: Iterator[tuple[int, int]]
    oldest: int | None = None
    newest: int | None = None

    def note(self, time: int) -> None:
        """Extend the range by a record of this ``time``."""
        self.oldest = time if self.oldest is None else min(self.oldest, time)
        self.newest = time if self.newest is None else max(self.newest, time)

    def seconds(self) -> float:
        """Return the seconds between the oldest and the newest record."""
        return 0.0 if self.oldest is None or self.newest is None else (self.newest - self.oldest) / 1000


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    try:
        about = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic]
    except KafkaException:
        consumer.poll(0)  # raises the refused login; list_topics only times out
        raise
    if about.error is not None and about.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise TopicMissing(f"topic {topic} does not exist; create it, or set KAFKA_TOPIC_TRADES to one that does")
    if about.error is not None:
        raise KafkaException(about.error)
    return [TopicPartition(topic, number) for number in about.partitions]


def _read(consumer: Consumer, scan: _PartitionScan, window: tuple[int, int], index: TailIndex, stop: Event) -> None:
    partition, (start, end) = scan.partition, window
    consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
    position, idle = start, 0.0
    while position < end and not stop.is_set():
        messages = consume(consumer, _POLL_RECORDS, _POLL_SECONDS)
        idle = 0.0 if messages else idle + _POLL_SECONDS
        if idle > _IDLE_SECONDS:
            where = f"{partition.topic}[{partition.partition}]"
            raise TailUnreadable(
                f"{where} ends at {end}, but delivers nothing after {position}; check the broker's log"
            )
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                position = end
                continue
            offset = message.offset()
            if offset is not None and offset < end:
                index.add(message.value() or b"", streamed=not kafka.is_repaired(message))
                scan.note(message.timestamp()[1])
                position = offset + 1
            else:
                position = end
    consumer.unassign()
