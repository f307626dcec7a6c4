"""Measure the time from a trade to its visible row: a reader polls PostgreSQL while trades are sent in real time."""

import os
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import psycopg
from confluent_kafka import Producer

from benchmarks import load
from benchmarks.stack import ROOT, Stack
from ops.local.programs import Program

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
_POLL_SECONDS = 0.01


@dataclass
class SentTrades:
    """The sent trades of each symbol: their ids in order, and the wall-clock time of each, in seconds."""

    ids: dict[str, list[int]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})
    times: dict[str, list[float]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})


def send(bootstrap: str, topic: str, per_second: int, seconds: float, sent_trades: SentTrades) -> None:
    """Send ``per_second`` evenly spaced trades whose trade time is the time of sending."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "partitioner": "murmur2_random",
                         "compression.type": "lz4"})  # fmt: skip
    random, sent, started = Random(1), 0, time.time()
    while (elapsed := time.time() - started) < seconds:
        for _ in range(int(elapsed * per_second) - sent):
            symbol, now = SYMBOLS[sent % len(SYMBOLS)], time.time()
            trade_id = 1_000_001 + sent // len(SYMBOLS)
            sent_trades.ids[symbol].append(trade_id)
            sent_trades.times[symbol].append(now)
            value = load.trade_value(symbol, trade_id, int(now * 1000), random)
            producer.produce(topic, value=value, key=symbol, on_delivery=load.raise_failure)
            sent += 1
        producer.poll(_POLL_SECONDS)
    load.flush(producer)


def watch(conninfo: str, sent_trades: SentTrades, done: threading.Event) -> list[float]:
    """Return the seconds from the time of each trade to the first poll that found it in a committed row."""
    delays: list[float] = []
    seen = dict.fromkeys(SYMBOLS, 0)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while True:
            is_last_poll = done.is_set()
            rows = connection.execute("select symbol, max(last_id) from trade_id_ranges group by symbol").fetchall()
            now = time.time()
            for symbol, last in rows:
                ids = sent_trades.ids[symbol]
                start, stop = bisect_left(ids, seen[symbol]), bisect_right(ids, last)
                delays += [now - moment for moment in sent_trades.times[symbol][start:stop]]
                seen[symbol] = last + 1
            if is_last_poll:
                return delays
            time.sleep(_POLL_SECONDS)


def consumer(stack: Stack, name: str, env: dict[str, str]) -> Program:
    """Return variant A (the consumer) as a program with ``env``."""
    return Program(name, [sys.executable, "-m", "crypto_analytics.consumer"], env=env, folder=ROOT)


def run(
    stack: Stack,
    per_second: int,
    seconds: float,
    *,
    make: Callable[[Stack, str, dict[str, str]], Program] = consumer,
    name: str = "latency",
    aim: float = 1.5,
) -> None:
    """Print the percentiles of the delay at ``per_second`` trades of the program that ``make`` returns."""
    topic, database = stack.new_topic(f"bench.{name}"), stack.new_database(name)
    env = stack.env(topic=topic, database=database, KAFKA_CONSUMER_GROUP=database)
    stack.supervisor.start(make(stack, name, env))
    log = stack.supervisor.log_of(name)
    env["LOG_LEVEL"] = os.environ.get("LOG_LEVEL", "INFO")
    sent_trades, done = SentTrades(), threading.Event()
    warm_up = SentTrades()
    send(stack.kafka.bootstrap_servers, topic, 100, 0.1, warm_up)  # the wait below ends when it has joined the group
    with psycopg.connect(stack.postgres.conninfo(database), autocommit=True) as connection:
        stack.supervisor.wait_until(
            lambda: connection.execute("select from trade_id_ranges").fetchone() is not None, 60, f"no trade yet: {log}"
        )
        connection.execute("truncate trade_id_ranges, fact_realtime_trades_1m, raw_objects")
    with ThreadPoolExecutor(2) as threads:
        watching = threads.submit(watch, stack.postgres.conninfo(database), sent_trades, done)
        sending = threads.submit(send, stack.kafka.bootstrap_servers, topic, per_second, seconds, sent_trades)
        try:
            sending.result()
            time.sleep(2 * aim)
        finally:
            done.set()
        delays = watching.result()
    stack.supervisor.stop(name)
    total = sum(map(len, sent_trades.ids.values()))
    if len(delays) != total:
        raise RuntimeError(f"{len(delays)} of {total} trades became visible")
    delays.sort()
    p50, p99, worst = (delays[min(total - 1, int(total * share))] for share in (0.5, 0.99, 1))
    print(f"\n{name}: trade time to visible row at {per_second:,} trades/s for {seconds:.0f} s ({total:,} trades): "
          f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {worst:.2f} s   (aim: p99 under {aim})", flush=True)  # fmt: skip
