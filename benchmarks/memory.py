"""Measure the resident memory of the consumer at work, with few and with many symbols."""

import sys
from itertools import islice, product
from string import ascii_uppercase

import psutil
import psycopg

from benchmarks import load
from benchmarks.stack import ROOT, Stack
from ops.local.programs import Program


def symbols(count: int) -> tuple[str, ...]:
    """Return ``count`` different symbols."""
    return tuple(islice(("".join(letters) + "USDT" for letters in product(ascii_uppercase, repeat=3)), count))


def run(stack: Stack, symbol_count: int, trades: int, per_second: int) -> None:
    """Print the consumer's memory after each quarter of a backlog of ``trades``."""
    names = symbols(symbol_count)
    label = f"memory_{symbol_count}"
    topic, database = stack.new_topic(f"bench.{label}"), stack.new_database(label)
    load.produce(stack.kafka.bootstrap_servers, topic, load.trades(names, trades, per_second))
    env = stack.env(topic=topic, database=database, KAFKA_CONSUMER_GROUP=database, SYMBOLS=",".join(names))
    stack.supervisor.start(Program(label, [sys.executable, "-m", "crypto_analytics.consumer"], env=env, folder=ROOT))
    process = psutil.Process(stack.supervisor.pid(label))
    sizes = []
    with psycopg.connect(stack.postgres.conninfo(database), autocommit=True) as connection:
        for quarter in (1, 2, 3, 4):

            def merged(wanted: int = trades * quarter // 4) -> bool:
                row = connection.execute("select coalesce(sum(trade_count), 0) from fact_realtime_trades_1m").fetchone()
                return row is not None and row[0] >= wanted

            stack.supervisor.wait_until(merged, 300, f"{label}: the backlog is not merged", every=0.2)
            sizes.append(process.memory_info().rss / 2**20)
    stack.supervisor.stop(label)
    steps = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"memory of the consumer, {symbol_count:,} symbols, {trades:,} trades, MB at each quarter: {steps}   "
          f"(aim: under 250, flat)", flush=True)  # fmt: skip
