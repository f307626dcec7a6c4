"""Measure what the change feed of the candles costs the consumer: without it, with it, and with its readers beside it.

The readers are the publisher and the API with one client of its WebSocket, on the same processors as the consumer.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psycopg

from benchmarks import load
from benchmarks.push import Readers, answers
from benchmarks.stack import ROOT, Stack
from benchmarks.throughput import SYMBOLS, Contender, measure
from ops.common.loopback import free_port
from ops.local.programs import Program

WITHOUT, WITH, READ = "without the change feed", "with the change feed", "with publisher and API reading it"
_CONSUMER = Contender("the consumer", "variant_a")
_WAIT_SECONDS = 60.0

# What migration 0008 adds to the table that the consumer writes.
_REMOVE = """
drop trigger new_revision on fact_realtime_trades_1m;
drop trigger notify_inserted on fact_realtime_trades_1m;
drop trigger notify_updated on fact_realtime_trades_1m;
drop index fact_realtime_trades_1m_revision;
alter table fact_realtime_trades_1m drop column revision
"""


@contextmanager
def readers(stack: Stack, topic: str, database: str) -> Iterator[None]:
    """Run the publisher and the API, with one client, on the changes of ``database``."""
    port, publisher_port = free_port(), free_port()
    candles = f"{stack.new_topic(database)}.candles"
    wanted = {
        "publisher": {"METRICS_PORT": str(publisher_port)},
        "api": {"API_PORT": str(port), "KAFKA_BOOTSTRAP_SERVERS": ""},
    }
    for name, settings in wanted.items():
        # Each run has a topic of candles of its own: with that of another database, the publisher would repair it.
        env = stack.env(topic=topic, database=database, role="reader", **settings) | {"KAFKA_TOPIC_CANDLES": candles}
        command = [sys.executable, "-m", f"crypto_analytics.{name}"]
        stack.supervisor.start(Program(name, command, env=env, folder=ROOT))
    try:
        for name, its in (("publisher", publisher_port), ("api", port)):
            log = stack.supervisor.log_of(name)
            stack.supervisor.wait_until(lambda its=its: answers(its), _WAIT_SECONDS, f"{name} is not ready: {log}")
        with Readers(port, 1):
            yield
    finally:
        for name in wanted:
            stack.supervisor.stop(name)


def run_once(stack: Stack, name: str, topic: str, count: int, database: str) -> float:
    """Return the trades per second of one run of the consumer."""
    stack.new_database(database)
    if name == READ:
        with readers(stack, topic, database):
            return measure(stack, _CONSUMER, topic, count, database)
    if name == WITHOUT:
        with psycopg.connect(stack.postgres.conninfo(database)) as connection:
            connection.execute(_REMOVE)
    return measure(stack, _CONSUMER, topic, count, database)


def run(stack: Stack, count: int, rounds: int) -> None:
    """Print the medians of ``rounds`` alternating runs, and of their ratios within a round."""
    topic = stack.new_topic("bench.change_feed")
    load.produce(stack.kafka.bootstrap_servers, topic, load.trades(SYMBOLS, count, per_second=1000))
    names = [WITHOUT, WITH, READ]
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)  # each takes each place equally often
        for name in names[first:] + names[:first]:
            rates[name].append(run_once(stack, name, topic, count, f"change_feed_{number}_{names.index(name)}"))
    print(f"\n| the consumer ({count:,} trades, median of {rounds}) | trades/s | min-max | of the first row |")
    print("|---|---:|---:|---:|")
    for name, runs in rates.items():
        ratio = median(rate / bare for rate, bare in zip(runs, rates[WITHOUT], strict=True))
        print(f"| {name} | {median(runs):,.0f} | {min(runs):,.0f}-{max(runs):,.0f} | {ratio:.3f} |", flush=True)
    print("aim: at least 0.97", flush=True)
