"""The driver's commits, with results as the client library returns them."""

from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from crypto_analytics.runtime import kafka
from crypto_analytics.spark_candles.group_offsets import GroupOffsets
from crypto_analytics.streaming.settings import MergingSettings


class Client:
    """Answers each commit at the next poll, or when it is closed, with ``answer``."""

    def __init__(self, on_commit: Any, answer: KafkaError | None) -> None:
        self.on_commit = on_commit
        self.answer = answer
        self.open: list[list[TopicPartition]] = []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.open.append(offsets)

    def poll(self, seconds: float) -> None:
        while self.open:
            self.on_commit(self.answer, self.open.pop(0))

    def close(self) -> None:
        self.poll(0)


def position(monkeypatch: pytest.MonkeyPatch, code: int | None) -> GroupOffsets:
    answer = None if code is None else KafkaError(code)
    monkeypatch.setattr(kafka, "consumer", lambda *_, on_commit: Client(on_commit, answer))
    values: Any = {"POSTGRES_USER": "writer", "POSTGRES_PASSWORD": "x", "OBJECT_STORE": "directory",
                   "OBJECT_STORE_DIR": "/objects"}  # fmt: skip
    return GroupOffsets(MergingSettings(**values), structlog.stdlib.get_logger())


@pytest.mark.parametrize("code", [KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_a_commit_that_kafka_refuses_ends_the_driver(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    refused = position(monkeypatch, code)
    refused.commit({0: 5})
    with pytest.raises(KafkaException, match=KafkaError(code).name()):
        refused.serve()


def test_a_refused_last_commit_is_raised_after_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = position(monkeypatch, KafkaError.GROUP_AUTHORIZATION_FAILED)
    refused.commit({0: 5})
    refused.close()
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        refused.check()


@pytest.mark.parametrize("code", [None, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REQUEST_TIMED_OUT])
def test_other_commit_errors_do_not_end_the_driver(monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    committing = position(monkeypatch, code)
    committing.commit({0: 5})
    committing.serve()
    committing.close()
    committing.check()
    assert not committing.is_overdue()
