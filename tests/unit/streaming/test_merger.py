"""Stop a merger while a store or Kafka is unreachable: the error names the cause."""

from threading import Event
from typing import Any

import psycopg
import pytest
import structlog

from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.merger import Merger, StopRequested
from tests.stores import MemoryStore

RULES = Rules(frozenset({"BTCUSDT"}), 1_800_000_000_000_000)


class UnreachableKafka:
    """A producer whose records are never acknowledged; ``full``: its queue takes no record."""

    def __init__(self, full: bool = False) -> None:
        self._full = full

    def produce(self, *_: Any, **__: Any) -> None:
        if self._full:
            raise BufferError

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 1


def refuse() -> psycopg.Connection:
    raise psycopg.OperationalError("connection refused\n")


@pytest.mark.parametrize(
    ("values", "kafka", "cause"),
    [
        ([], UnreachableKafka(), "connection refused"),
        ([b"no trade"], UnreachableKafka(full=True), "the queue of dead letters is full: Kafka takes none"),
    ],
)
def test_the_cause_of_an_abandoned_batch_is_named(values: list[bytes], kafka: Any, cause: str) -> None:
    stop = Event()
    stop.set()
    log = structlog.stdlib.get_logger()
    merger = Merger(refuse, RawArchive(MemoryStore(), "raw"), kafka, "dlq", lambda: RULES, stop, log)
    with pytest.raises(StopRequested) as raised:
        merger.merge(DecodedRecords.of(values, str, RULES))
    assert str(raised.value) == cause


def test_missing_acknowledgements_of_dead_letters_are_named() -> None:
    stop = Event()
    stop.set()
    log = structlog.stdlib.get_logger()
    kafka: Any = UnreachableKafka()
    merger = Merger(refuse, RawArchive(MemoryStore(), "raw"), kafka, "dlq", lambda: RULES, stop, log)
    with pytest.raises(StopRequested, match="Kafka does not acknowledge the dead letters"):
        merger._flush_dead_letters()
