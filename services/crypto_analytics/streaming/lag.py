"""The consumer's lag, from Kafka's own answers: asked for by a thread and a client of their own.

The consumer's client learns of the end of a partition with the records that it fetches, and it fetches none while it is
paused or its buffer is full, which is when the lag matters. So the thread asks for it, at any time.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from crypto_analytics.binance.wire import BadTrade, Rules, decode_one
from crypto_analytics.core.minutes import to_microseconds
from crypto_analytics.runtime import kafka, metrics
from crypto_analytics.runtime.clock import wall_clock
from crypto_analytics.streaming.backlog import Backlog, Place
from crypto_analytics.streaming.settings import MergingSettings

_EVERY_SECONDS = 1.0
_CALL_SECONDS = 2.0
_HEAD_SECONDS = 1.0
_MOVING_HEAD_SECONDS = 5.0  # while batches are merged, the next trade is another one each second: read it less often
_LEAVE_SECONDS = 1.0
_CLIENT: Mapping[str, str | int] = {
    "queued.min.messages": 1,
    "fetch.message.max.bytes": 4096,  # Kafka returns one batch of records at least, however large
    "log_level": 0,  # the client that reads the trades logs the same troubles
}


class LagWatch:
    """Asks Kafka once a second what the partitions of a :class:`Backlog` hold, and publishes the lag.

    ``whole_topic``: the backlog is that of all partitions of the topic, those added later included.
    """

    def __init__(
        self,
        client: Consumer,
        topic: str,
        backlog: Backlog,
        rules: Callable[[], Rules],
        log: structlog.stdlib.BoundLogger,
        *,
        whole_topic: bool = False,
    ) -> None:
        self._client = client
        self._topic = topic
        self._backlog = backlog
        self._rules = rules
        self._log = log
        self._whole_topic = whole_topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._trouble = ""
        self._first_seen: dict[int, int | None] = {}
        self._heads_read_at = -math.inf

    def __enter__(self) -> Self:
        metrics.LAG_TRADES.set_function(self._backlog.trades)
        metrics.LAG_SECONDS.set_function(lambda: self._backlog.seconds(wall_clock()))
        metrics.END_OFFSETS_AGE.set_function(self._backlog.answer_age)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(_LEAVE_SECONDS)  # it may be waiting for a broker that is away: a stop does not

    def _run(self) -> None:
        log = self._log
        while not self._stop.wait(_EVERY_SECONDS):
            try:
                self.look()
            except KafkaException as error:
                self._note(error.args[0].str())
            except Exception:  # the lag is one number among many: the age of the last answer shows that it stands
                log.exception("lag_query_crashed", next="report this; trades are merged meanwhile")
            else:
                self._note("")

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._log.warning("lag_query_failed", error=trouble, next="nothing: Kafka is asked again every second")
        self._trouble = trouble

    def look(self) -> None:
        """Ask Kafka once.

        Raises:
            KafkaException: it does not answer in time, or refuses.
        """
        self._client.poll(0)  # where the login is refused, this call says so
        asked_at = time.monotonic()
        if self._whole_topic:
            self._backlog.assign(self._partitions())
        places = self._backlog.places()
        if not places:
            return
        committed = self._committed([number for number, place in places.items() if place.following is None])
        held = {number: self._held(number) for number in places}
        self._backlog.answered(asked_at, places, held, committed)
        self._read_heads(places)

    def _partitions(self) -> Iterable[int]:
        about = self._client.list_topics(self._topic, _CALL_SECONDS).topics[self._topic]
        if about.error is not None:
            raise KafkaException(about.error)
        return list(about.partitions)

    def _committed(self, numbers: Iterable[int]) -> dict[int, int]:
        wanted = [TopicPartition(self._topic, number) for number in numbers]
        found = self._client.committed(wanted, _CALL_SECONDS) if wanted else []
        for part in found:
            if part.error is not None:
                raise KafkaException(part.error)
        return {part.partition: part.offset for part in found}

    def _held(self, number: int) -> tuple[int, int]:
        low, end = self._client.get_watermark_offsets(TopicPartition(self._topic, number), _CALL_SECONDS)
        return low, end

    def _read_heads(self, places: Mapping[int, Place]) -> None:
        """Read the next record of each partition where records wait and it is not read yet."""
        firsts = {number: place.first() for number, place in places.items() if place.waiting()}
        is_due = time.monotonic() - self._heads_read_at >= _MOVING_HEAD_SECONDS
        wanted: dict[int, int] = {}
        for number, first in firsts.items():
            known = places[number].head_offset
            stands = first == self._first_seen.get(number)
            if first is not None and first != known and (known is None or stands or is_due):
                wanted[number] = first
        self._first_seen = firsts
        if not wanted:
            return
        if is_due:
            self._heads_read_at = time.monotonic()
        self._client.assign([TopicPartition(self._topic, number, first) for number, first in wanted.items()])
        try:
            until = time.monotonic() + _HEAD_SECONDS
            while wanted and (left := until - time.monotonic()) > 0:
                for message in kafka.consume(self._client, len(wanted), left):
                    self._note_head(message, wanted, places)
        finally:
            self._client.unassign()

    def _note_head(self, message: Message, wanted: dict[int, int], places: Mapping[int, Place]) -> None:
        error, number = message.error(), message.partition()
        if error is not None:
            raise KafkaException(error)
        if number is not None and number in wanted:
            self._backlog.read(places[number], wanted.pop(number), self._time(message), wall_clock())

    def _time(self, message: Message) -> int:
        """Return the time of the trade in ``message``, or of the record where it holds none."""
        try:
            return decode_one(message.value() or b"", self._rules())[1].time
        except BadTrade:
            return to_microseconds(message.timestamp()[1])


def open_watch(
    settings: MergingSettings,
    backlog: Backlog,
    rules: Callable[[], Rules],
    log: structlog.stdlib.BoundLogger,
    *,
    whole_topic: bool = False,
) -> LagWatch:
    """Return the watch of the group's lag that ``settings`` describe, with its real client, which joins no group."""
    client = kafka.consumer(settings, settings.KAFKA_CONSUMER_GROUP, **_CLIENT)
    return LagWatch(client, settings.KAFKA_TOPIC_TRADES, backlog, rules, log, whole_topic=whole_topic)
