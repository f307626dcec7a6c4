"""The consumer's three threads, with real messages and without a broker or a store."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.consumer import service
from crypto_analytics.consumer.collector import BatchCollector
from crypto_analytics.consumer.service import ConsumerService
from crypto_analytics.runtime import kafka
from crypto_analytics.runtime.health import Health
from crypto_analytics.store.merge import Merged
from crypto_analytics.streaming import offset_commits
from crypto_analytics.streaming.backlog import Backlog
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.merger import BatchResult
from crypto_analytics.streaming.offset_commits import OffsetCommitter
from tests.unit.trade_json import trade_json

RULES = Rules(frozenset({"BTCUSDT"}), 2**60)
PARTITION = TopicPartition("trades", 0)


def delivered(values: Sequence[bytes | None], **config: str | int) -> list[Message]:
    """Return ``values`` as the client library's own messages, which only it can make: from a broker that it mocks."""
    messages: list[Message] = []
    producer = Producer({"bootstrap.servers": "mocked", "test.mock.num.brokers": 1, "log_level": 0, **config})
    for value in values:
        producer.produce("trades", value, partition=0, on_delivery=lambda _, message: messages.append(message))
    assert producer.flush(30) == 0
    return messages


@pytest.fixture(scope="module")
def trades() -> list[Message]:
    messages = delivered([trade_json(number) for number in range(1, 7)])
    assert [message.error() for message in messages] == [None] * 6
    return messages


class FakeConsumer:
    """Hands out the messages of each step, or does what the step is; then the service is asked to stop."""

    def __init__(
        self, stop: threading.Event, steps: Sequence[list[Message] | Callable[["FakeConsumer"], None]]
    ) -> None:
        self.stop = stop
        self.health = Health()
        self.backlog = Backlog()
        self.steps = list(steps)
        self.read = 0
        self.waits: list[float] = []
        self.committed: list[int] = []
        self.answer: KafkaError | None = None
        """What a commit is answered with, at the next poll."""
        self.answers: list[Callable[[], None]] = []
        self.closed = False
        self.on_commit: Callable[..., None] = lambda *answer: None
        self.may_close = threading.Event()
        self.may_close.set()

    def subscribe(self, topics: list[str], on_assign: Callable[..., None], on_revoke: Callable[..., None]) -> None:
        self.assign = on_assign
        self.revoke = on_revoke

    def poll_answers(self) -> None:
        answers, self.answers = self.answers, []
        for answer in answers:
            answer()

    def consume(self, count: int, seconds: float) -> list[Message]:
        self.waits.append(seconds)
        self.poll_answers()
        if not self.steps:
            self.stop.set()
            return []
        step = self.steps.pop(0)
        if isinstance(step, list):
            assert len(step) <= count
            self.read += len(step)
            return step
        step(self)
        return []

    def assignment(self) -> list[TopicPartition]:
        return [PARTITION]

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition("trades", 0, self.read)]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.committed += [part.offset for part in offsets]
        self.answers.append(partial(self.on_commit, self.answer, offsets))

    def close(self) -> None:
        assert self.may_close.wait(30)
        self.poll_answers()
        self.closed = True


class FakeMerger:
    """Records the ids of each batch and the offsets committed before it."""

    waiting = False

    def __init__(self, rules: Callable[[], Rules] = lambda: RULES) -> None:
        self.rules = rules
        self.batches: list[list[int]] = []
        self.rejected: list[tuple[str, str]] = []
        self.committed_before: list[list[int]] = []
        self.consumer: FakeConsumer | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def merge(self, records: DecodedRecords) -> BatchResult:
        assert self.consumer is not None
        self.committed_before.append(list(self.consumer.committed))
        assert self.may_go_on.wait(30)
        self.batches.append(records.decoded.trades.first_ids.tolist())
        self.rejected += [(error.reason, origin) for _, error, origin in records.rejected]
        return BatchResult(len(records), Merged(), Counter())

    def close(self) -> None:
        pass


@pytest.fixture
def build() -> Iterator[Callable[..., tuple[ConsumerService, FakeConsumer, FakeMerger]]]:
    mergers: list[FakeMerger] = []

    def make(
        *steps: list[Message] | Callable[[FakeConsumer], None],
        batch: int = 100,
        seconds: float = 60.0,
        largest: int = 0,
        merger: FakeMerger | None = None,
    ) -> tuple[ConsumerService, FakeConsumer, FakeMerger]:
        stop = threading.Event()
        merger = merger or FakeMerger()
        mergers.append(merger)
        merger.consumer = consumer = FakeConsumer(stop, steps)
        log = structlog.stdlib.get_logger()
        committing = OffsetCommitter("trades", log)
        consumer.on_commit = committing.on_commit
        anything: Any = {"consumer": consumer, "merger": merger, "backlog": consumer.backlog, "health": consumer.health}
        collector: BatchCollector[Any] = BatchCollector(seconds, batch, largest)
        return (
            ConsumerService(topic="trades", collector=collector, commits=committing, stop=stop, log=log, **anything),
            consumer,
            merger,
        )

    yield make
    for merger in mergers:
        merger.may_go_on.set()
        assert merger.consumer is not None
        merger.consumer.may_close.set()


Build = Callable[..., tuple[ConsumerService, FakeConsumer, FakeMerger]]


def test_offsets_are_committed_only_once_their_batch_is_merged(build: Build, trades: list[Message]) -> None:
    consuming, consumer, merger = build(trades[:2], trades[2:4], trades[4:], batch=4)
    consuming.run()
    assert merger.batches == [[1, 2, 3, 4], [5, 6]]
    assert merger.committed_before == [[], [4]]
    assert consumer.committed == [4, 6]
    assert consumer.closed


def test_a_stop_merges_what_was_read_and_not_decoded_yet(build: Build, trades: list[Message]) -> None:
    decoding = threading.Event()

    def rules() -> Rules:
        assert decoding.wait(30)
        return RULES

    consuming, consumer, merger = build(trades, lambda consumer: decoding.set(), merger=FakeMerger(rules))
    consuming.run()
    assert (merger.batches, consumer.committed) == ([[1, 2, 3, 4, 5, 6]], [6])


def test_a_failure_to_decode_ends_the_run_and_commits_nothing(build: Build, trades: list[Message]) -> None:
    def rules() -> Rules:
        raise LookupError("no rules")

    consuming, consumer, merger = build(trades, trades, batch=6, merger=FakeMerger(rules))
    with pytest.raises(LookupError, match="no rules"):
        consuming.run()
    assert (merger.batches, consumer.committed, consumer.closed) == ([], [], True)


@pytest.fixture(scope="module")
def failed() -> Message:
    [message] = delivered([b"x"], **{"message.timeout.ms": 1, "linger.ms": 0, "test.mock.broker.rtt": 1000})
    assert message.error() is not None
    return message


def test_an_error_between_records_loses_none_of_them(build: Build, trades: list[Message], failed: Message) -> None:
    consuming, _, merger = build([*trades[:3], failed, *trades[3:]])
    consuming.run()
    assert merger.batches == [[1, 2, 3, 4, 5, 6]]
    assert merger.rejected == []


def test_an_error_alone_makes_no_batch(build: Build, failed: Message) -> None:
    consuming, consumer, merger = build([failed])
    consuming.run()
    assert (merger.batches, consumer.committed) == ([], [])


def test_a_fatal_error_ends_the_run_at_once_and_commits_nothing(
    build: Build, trades: list[Message], failed: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = failed.error()
    assert error is not None
    monkeypatch.setattr(kafka, "REFUSED", frozenset({error.code()}))
    consuming, consumer, merger = build([*trades[:3], failed, *trades[3:]], trades)
    with pytest.raises(KafkaException, match=error.name()):
        consuming.run()
    assert (merger.batches, consumer.committed, consumer.closed) == ([], [], True)
    assert consumer.steps == [trades]


@pytest.mark.parametrize("due", [{"batch": 2}, {"seconds": 0.0}], ids=["by size", "by age"])
def test_polls_are_short_but_not_busy_while_a_due_batch_waits_for_the_one_before_it(
    build: Build, trades: list[Message], due: dict[str, Any]
) -> None:
    consuming, consumer, merger = build(
        trades[:2], trades[2:4], lambda _: merger.may_go_on.set(), trades[4:], largest=100, **due
    )
    merger.may_go_on.clear()
    consuming.run()
    assert consumer.waits[:3] == [0.1, 0.1, 0.01]
    assert merger.batches[0] == [1, 2]


def test_a_record_without_a_value_is_rejected_with_its_origin(build: Build, trades: list[Message]) -> None:
    consuming, _, merger = build(delivered([trade_json(1), None, trade_json(2)]))
    consuming.run()
    assert merger.batches == [[1, 2]]
    assert merger.rejected == [("not_json", "trades/0/1")]


def test_revoked_partitions_drop_the_collected_batch(build: Build, trades: list[Message]) -> None:
    def revoke(consumer: FakeConsumer) -> None:
        merger.may_go_on.set()
        consumer.revoke(consumer, [PARTITION])
        consumer.read = consumer.committed[-1]  # where the next owner of the partitions begins

    consuming, consumer, merger = build(trades[:2], trades[2:4], revoke, trades[2:], batch=2, largest=100)
    merger.may_go_on.clear()
    consuming.run()
    assert merger.batches == [[1, 2], [3, 4, 5, 6]]
    assert consumer.committed == [2, 6]


def test_a_stop_does_not_wait_for_a_store_that_hangs(
    build: Build, trades: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_DRAIN_SECONDS", 0.2)
    consuming, consumer, merger = build(trades[:2], batch=2)
    merger.may_go_on.clear()
    consuming.run()
    assert (consuming.is_stuck(), consumer.committed, consumer.closed) == (True, [], True)


def test_a_stop_does_not_wait_for_an_unreachable_broker(
    build: Build, trades: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_LEAVE_SECONDS", 0.2)
    consuming, consumer, _ = build(trades[:2])
    consumer.may_close.clear()
    consuming.run()
    assert (consuming.is_stuck(), consumer.committed, consumer.closed) == (True, [2], False)
    consumer.may_close.set()


def refused_when(consumer: FakeConsumer, code: int) -> None:
    consumer.answer = KafkaError(code)


def until_committed(consumer: FakeConsumer) -> None:
    if not consumer.committed:
        consumer.steps.insert(0, until_committed)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,
    ],
)
def test_a_commit_that_kafka_refuses_ends_the_run_with_the_reason(
    build: Build, trades: list[Message], code: int
) -> None:
    consuming, consumer, _ = build(
        lambda consumer: refused_when(consumer, code), trades, until_committed, [], trades, seconds=0.0
    )
    with pytest.raises(KafkaException, match=KafkaError(code).name()):
        consuming.run()
    assert consumer.steps[-1:] == [trades]
    assert consumer.closed


def test_a_commit_that_kafka_refuses_during_the_stop_is_raised(build: Build, trades: list[Message]) -> None:
    consuming, consumer, _ = build(
        lambda consumer: refused_when(consumer, KafkaError.GROUP_AUTHORIZATION_FAILED), trades
    )
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        consuming.run()
    assert consumer.closed


@pytest.mark.parametrize(("code", "ready"), [(None, True), (KafkaError.REQUEST_TIMED_OUT, False)])
def test_a_consumer_whose_commits_fail_for_long_is_alive_and_not_ready(
    build: Build, trades: list[Message], monkeypatch: pytest.MonkeyPatch, code: int | None, ready: bool
) -> None:
    def answered_with(consumer: FakeConsumer) -> None:
        consumer.answer = None if code is None else KafkaError(code)

    monkeypatch.setattr(offset_commits, "_OVERDUE_SECONDS", -1.0)  # every commit without a confirmation is
    consuming, consumer, _ = build(answered_with, trades, until_committed, [], [], seconds=0.0)
    consuming.run()
    assert (consumer.health.ready, consumer.health.is_alive()) == (ready, True)


def test_offsets_of_partitions_that_are_revoked_during_the_merge_are_not_committed(
    build: Build, trades: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke(consumer: FakeConsumer) -> None:
        monkeypatch.setattr(service, "_DRAIN_SECONDS", 0.0)
        consumer.revoke(consumer, [PARTITION])
        monkeypatch.setattr(service, "_DRAIN_SECONDS", 7.0)
        merger.may_go_on.set()

    consuming, consumer, merger = build(trades[:2], revoke, batch=2)
    merger.may_go_on.clear()
    consuming.run()
    assert (merger.batches, consumer.committed) == ([[1, 2]], [])


def test_the_backlog_follows_assignments_and_merges(build: Build, trades: list[Message]) -> None:
    def assign(consumer: FakeConsumer) -> None:
        consumer.assign(consumer, [PARTITION])

    def end_is_known(consumer: FakeConsumer) -> None:
        partitions = consumer.backlog.partitions()
        consumer.backlog.update(0.0, partitions, {0: (0, 6)}, {0: 0})
        seen.append(consumer.backlog.trades())

    seen: list[float] = []
    consuming, consumer, _ = build(assign, end_is_known, trades[:4], [])
    consuming.run()
    assert (seen, consumer.backlog.trades()) == ([6.0], 2.0)
