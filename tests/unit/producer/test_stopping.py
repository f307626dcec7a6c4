"""A stop ends within ten seconds, whatever the producer is doing."""

import asyncio
import time
from collections.abc import Sequence
from itertools import repeat
from threading import Event, Timer
from types import SimpleNamespace
from typing import Any

import pytest

from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.producer import service, topic_tail
from crypto_analytics.producer.gap_check import GapCheck
from crypto_analytics.producer.gap_store import MergedGap
from crypto_analytics.producer.settings import ProducerSettings
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.producer.topic_tail import TopicMissing, read_sent_ids
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime.daemon_thread import run_in_daemon_thread
from crypto_analytics.runtime.health import Health
from tests.unit.producer.exchange import MemoryExchange
from tests.unit.producer.memory_sink import MemorySink


def test_a_hanging_gap_check_does_not_delay_the_stop() -> None:
    asked, release = Event(), Event()
    safety = Timer(5, release.set)  # ends the test if the stop waits for the check

    class Hanging:
        def read(self, symbols: Sequence[str]) -> list[MergedGap]:
            asked.set()
            release.wait()
            return []

    async def run() -> None:
        look = asyncio.create_task(GapCheck(Hanging(), {"BTCUSDT": TradeIds()}, 60).run())
        while not asked.is_set():
            await asyncio.sleep(0.01)
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)

    safety.start()
    asyncio.run(run())
    assert not release.is_set()
    safety.cancel()
    release.set()


def test_a_call_in_a_daemon_thread_returns_its_result_and_raises_its_error() -> None:
    def fail() -> None:
        raise LookupError("why")

    assert asyncio.run(run_in_daemon_thread(lambda: 7)) == 7
    with pytest.raises(LookupError, match="why"):
        asyncio.run(run_in_daemon_thread(fail))


def test_the_time_that_the_tasks_take_to_stop_is_deducted_from_the_time_to_flush() -> None:
    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.3)

    async def run() -> float:
        listener = StreamListener(["BTCUSDT"], MemorySink(), MemoryExchange(), lambda: Rules(frozenset({"BTCUSDT"}), 0))
        stop = Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        return await service.run(listener, [slow_to_end()], health=Health(), stop=stop)

    stopped_at = asyncio.run(run())
    assert time.monotonic() - stopped_at >= 0.3
    assert service.seconds_left(stopped_at) <= 8 - 0.3


@pytest.mark.parametrize(("now", "left"), [(100.0, 8.0), (103.0, 5.0), (120.0, 0.0)])
def test_the_time_left_counts_from_the_stop(now: float, left: float) -> None:
    assert service.seconds_left(100.0, now=lambda: now) == left


def test_reading_the_tail_ends_with_the_call_in_which_the_stop_came() -> None:
    class Broker:
        def __init__(self, stop: Event) -> None:
            self.stop = stop
            self.calls = 0

        def list_topics(self, topic: str, timeout: float) -> Any:
            about = type("About", (), {"error": None, "partitions": range(6)})
            return type("Topics", (), {"topics": {topic: about}})

        def get_watermark_offsets(self, partition: object, timeout: float) -> tuple[int, int]:
            self.calls += 1
            self.stop.set()
            return 0, 10

    stop = Event()
    broker: Any = Broker(stop)
    assert read_sent_ids(broker, "trades", ["BTCUSDT"], 1000, stop) == {}
    assert broker.calls == 1


def test_a_stop_ends_the_wait_for_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise TopicMissing("not yet")

    tail = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(topic_tail.kafka, "consumer", lambda *arguments, **changes: tail)
    monkeypatch.setattr(topic_tail, "read_sent_ids", missing)
    monkeypatch.setattr(topic_tail, "backoff", lambda *steps: repeat(5.0))
    stop = Event()
    Timer(0.1, stop.set).start()
    started = time.monotonic()
    sent = asyncio.run(topic_tail.wait_for_sent_ids(ProducerSettings(), Health().beat, stop))
    assert sent == {}
    assert time.monotonic() - started < 4
