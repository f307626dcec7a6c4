"""Measure the publisher's first publication and its restart, beside a bare producer and a bare consumer."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import psutil
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from psycopg.rows import args_row

from benchmarks import load
from benchmarks.stack import ROOT, Stack
from crypto_analytics.publisher import messages
from crypto_analytics.store.candle_changes import CHANGES, CandleChange
from ops.common import loopback
from ops.common.loopback import LOOPBACK, free_port
from ops.local.programs import Program

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
_PARTITIONS = 6
_WAIT_SECONDS = 600

_INSERT = """
insert into fact_realtime_trades_1m (
    symbol, open_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
    taker_buy_quote_volume, first_trade_id, last_trade_id, is_complete
)
select
    symbol, timestamptz '2025-01-01' + minute * interval '1 minute', 90000.12, 90010.34, 89990.56, 90000.78,
    12.34567 + minute, (12.34567 + minute) * 90000.123, 1234, 6.54321, 6.54321 * 90000.123, minute * 1234,
    minute * 1234 + 1233, true
from generate_series(1, %s) as minute cross join unnest(%s::text[]) as symbol
order by minute
"""

Encoded = list[tuple[int, bytes, bytes]]


def bare_produce(bootstrap: str, topic: str, encoded: Encoded) -> float:
    """Return the seconds that the same messages take with the same producer settings, already encoded."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4",
                         "linger.ms": 5})  # fmt: skip
    started = time.monotonic()
    for number, key, value in encoded:
        while True:
            try:
                producer.produce(topic, value, key, partition=number, on_delivery=load.raise_failure)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    load.flush(producer)
    return time.monotonic() - started


def bare_consume(bootstrap: str, topic: str, count: int) -> float:
    """Return the seconds of reading ``count`` messages from the beginning and taking each key and value."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "fetch.queue.backoff.ms": 10})
    started = time.monotonic()
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(_PARTITIONS)])
    seen = 0
    while seen < count:
        batch = consumer.consume(10_000, 1.0)
        seen += len(list(zip(map(Message.key, batch), map(Message.value, batch), strict=True)))
    seconds = time.monotonic() - started
    consumer.close()
    return seconds


def encode(stack: Stack, database: str, count: int) -> Encoded:
    """Return the messages of all candles in the order of their revisions."""
    known = {"symbols": list(SYMBOLS), "revisions": [0] * len(SYMBOLS), "limit": count}
    with psycopg.connect(stack.postgres.conninfo(database)) as connection:
        changes = connection.cursor(row_factory=args_row(CandleChange)).execute(CHANGES, known).fetchall()
    changes.sort(key=lambda change: change.revision)
    keys = [messages.key(change.symbol, change.open_time) for change in changes]
    numbers = [messages.partition(change.symbol, _PARTITIONS) for change in changes]
    return list(zip(numbers, keys, map(messages.value, changes), strict=True))


class PublisherRun:
    """A publisher as a process, measured from its start."""

    def __init__(self, stack: Stack, topic: str, database: str) -> None:
        self._stack = stack
        self._port = free_port()
        env = stack.env(topic=topic, database=database, role="reader", METRICS_PORT=str(self._port))
        program = Program("publisher", [sys.executable, "-m", "crypto_analytics.publisher"], env=env, folder=ROOT)
        self._program = replace(program, restart=False)

    def seconds_until(self, is_reached: Callable[["PublisherRun"], bool]) -> tuple[float, float, float]:
        """Return the seconds from the start until ``is_reached``, and its own memory in MB: at most, and at the end."""
        started, most, last = time.monotonic(), 0.0, 0.0
        self._stack.supervisor.start(self._program)
        process = psutil.Process(self._stack.supervisor.pid("publisher"))

        def check() -> bool:
            nonlocal most, last
            last = process.memory_full_info().uss / 2**20
            most = max(most, last)
            return is_reached(self)

        try:
            self._stack.supervisor.wait_until(check, _WAIT_SECONDS, "the publisher does not get there", every=0.05)
            return time.monotonic() - started, most, last
        finally:
            self._stack.supervisor.stop("publisher")

    def published(self) -> float:
        """Return how many candles it published."""
        for line in self._get("/metrics").splitlines():
            if line.startswith("candles_published_total "):
                return float(line.split()[1])
        return 0.0

    def is_ready(self) -> bool:
        """Return whether it has read the topic and looks for changes."""
        return self._get("/readyz").startswith("ok")

    def _get(self, path: str) -> str:
        try:
            with loopback.get(f"http://{LOOPBACK}:{self._port}{path}", 5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


def run(stack: Stack, count: int, rounds: int) -> None:
    """Print the rates and times of ``rounds`` alternating runs with ``count`` candles."""
    count -= count % len(SYMBOLS)
    database = stack.new_database("candles_topic")
    with psycopg.connect(stack.postgres.conninfo(database), autocommit=True) as connection:
        connection.execute(_INSERT, [count // len(SYMBOLS), list(SYMBOLS)])
        connection.execute("vacuum analyze fact_realtime_trades_1m")
    encoded = encode(stack, database, count)
    kafka = stack.kafka.bootstrap_servers
    produce, publish, consume, restart = [], [], [], []
    for number in range(rounds):
        bare = f"{stack.new_topic(f'bench.bare.{number}')}.candles"
        produce.append(bare_produce(kafka, bare, encoded))
        consume.append(bare_consume(kafka, bare, count))
        topic = stack.new_topic(f"bench.published.{number}")
        publish.append(PublisherRun(stack, topic, database).seconds_until(lambda its: its.published() >= count))
        restart.append(PublisherRun(stack, topic, database).seconds_until(PublisherRun.is_ready))
    size = sum(len(key) + len(value) for _, key, value in encoded) / count
    print(f"\ncandles topic, {count:,} candles of {size:.0f} bytes, medians of {rounds} alternating runs\n")
    print("| | s | candles/s | memory, at most MB |\n|---|---:|---:|---:|")
    print(f"| bare producer, messages already encoded | {median(produce):.1f} | {count / median(produce):,.0f} | |")
    for name, runs in (
        ("**publisher, first publication**, with its start", publish),
        ("**publisher, restart**", restart),
    ):
        seconds, most, _ = (median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {seconds:.1f} | {count / seconds:,.0f} | {most:.0f} |")
    print(f"| bare consumer, taking each key and value | {median(consume):.1f} | {count / median(consume):,.0f} | |")
