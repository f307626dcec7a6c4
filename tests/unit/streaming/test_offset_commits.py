"""Results of commits, as the client library passes them to its callback."""

from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from prometheus_client import REGISTRY

from crypto_analytics.streaming.offset_commits import OffsetCommitter

TIMED_OUT = KafkaError(KafkaError.REQUEST_TIMED_OUT)


class Client:
    """Records the committed offsets."""

    def __init__(self) -> None:
        self.sent: list[dict[int, int]] = []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.sent.append({part.partition: part.offset for part in offsets})


class Setting:
    """OffsetCommitter with a client and a clock of the test's own."""

    def __init__(self, ignored_errors: frozenset[int] = frozenset()) -> None:
        self.time = 0.0
        self.client: Any = Client()
        log = structlog.stdlib.get_logger()
        self.commits = OffsetCommitter("trades", log, ignored_errors=ignored_errors, now=lambda: self.time)

    def send(self, offsets: dict[int, int]) -> None:
        self.commits.send(self.client, offsets)

    def answer(self, error: KafkaError | None, offsets: dict[int, int]) -> None:
        self.commits.on_commit(error, [TopicPartition("trades", *place) for place in offsets.items()])

    def serve(self, time: float) -> list[dict[int, int]]:
        """Serve at ``time`` and return the commits sent so far."""
        self.time = time
        self.commits.serve(self.client)
        sent: list[dict[int, int]] = self.client.sent
        return sent


def failed(name: str) -> float:
    return REGISTRY.get_sample_value("offset_commits_failed_total", {"error": name}) or 0.0


def test_a_failed_commit_is_counted_logged_once_and_retried_until_it_is_confirmed() -> None:
    it, before = Setting(), failed("REQUEST_TIMED_OUT")
    with structlog.testing.capture_logs() as logs:
        it.send({0: 5, 1: 7})
        it.answer(TIMED_OUT, {0: 5, 1: 7})
        assert it.serve(0.5) == [{0: 5, 1: 7}]
        assert it.serve(1.0) == [{0: 5, 1: 7}] * 2
        assert it.serve(9.0) == [{0: 5, 1: 7}] * 2  # it is under way
        it.answer(TIMED_OUT, {0: 5, 1: 7})
        assert len(it.serve(10.0)) == 3
        it.answer(None, {0: 5, 1: 7})
        assert len(it.serve(100.0)) == 3
    assert [entry["event"] for entry in logs] == ["commit_failed", "commit_recovered"]
    assert failed("REQUEST_TIMED_OUT") == before + 2


def test_a_newer_commit_includes_the_offsets_of_a_failed_one() -> None:
    it = Setting()
    it.send({0: 5, 1: 7})
    it.answer(TIMED_OUT, {0: 5, 1: 7})
    it.send({0: 6})
    assert it.client.sent[-1] == {0: 6, 1: 7}
    it.answer(None, {0: 6, 1: 7})
    assert len(it.serve(100.0)) == 2


def test_an_error_of_one_partition_is_an_error() -> None:
    it = Setting()
    it.send({0: 5, 1: 7})

    class Partly:
        """A partition with an error, which only the client library can make."""

        topic, partition, offset = "trades", 1, 7
        error = TIMED_OUT

    partly: Any = Partly()
    it.commits.on_commit(None, [TopicPartition("trades", 0, 5), partly])
    assert it.serve(1.0)[1:] == [{1: 7}]


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED),
        KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        KafkaError(KafkaError.FENCED_INSTANCE_ID),
        KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "by another reason", True),
    ],
    ids=str,
)
def test_fatal_errors_are_raised(error: KafkaError) -> None:
    it = Setting()
    it.send({0: 5})
    it.answer(error, {0: 5})
    with pytest.raises(KafkaException, match=error.name()):
        it.serve(0.1)


def test_commits_of_revoked_partitions_are_not_retried() -> None:
    it = Setting()
    it.send({0: 5, 1: 7})
    it.answer(KafkaError(KafkaError.ILLEGAL_GENERATION), {0: 5, 1: 7})
    it.commits.forget([0])
    assert it.serve(1.0)[1:] == [{1: 7}]
    it.answer(KafkaError(KafkaError.ILLEGAL_GENERATION), {1: 7})
    it.commits.forget([1])
    assert len(it.serve(9.0)) == 2


def test_commits_are_overdue_when_none_is_confirmed_for_half_a_minute() -> None:
    it = Setting()
    for second in range(0, 100, 10):  # each is confirmed when the next one is under way
        it.time = second
        it.send({0: second})
        it.answer(None, {0: second - 10})
        assert not it.commits.is_overdue()
    it.time = 121
    assert it.commits.is_overdue()  # no answer at all
    it.answer(TIMED_OUT, {0: 90})
    assert it.commits.is_overdue()
    it.answer(None, {0: 90})
    assert not it.commits.is_overdue()
    it.time = 1000
    assert not it.commits.is_overdue()  # there was nothing to commit


def test_ignored_errors_count_as_confirmed() -> None:
    it = Setting(frozenset({KafkaError.UNKNOWN_MEMBER_ID}))
    it.send({0: 5})
    it.answer(KafkaError(KafkaError.UNKNOWN_MEMBER_ID), {0: 5})
    assert it.serve(100.0) == [{0: 5}]
    assert not it.commits.is_overdue()
