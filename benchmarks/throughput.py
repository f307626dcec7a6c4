"""Measure the trades per second of each contender on one topic, and their ratios."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

from benchmarks import load
from benchmarks.stack import ROOT, Stack
from ops.setup.environments import python_of

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


@dataclass(frozen=True)
class Contender:
    """A program to compare.

    Attributes:
        name: its name in the table.
        module: its module in ``benchmarks.contenders``.
        env: its settings.
        share: the share of the topic that it reads; a slow peer reads less.
        environment: the virtual environment with its libraries.
    """

    name: str
    module: str
    env: dict[str, str] = field(default_factory=dict)
    share: float = 1.0
    environment: str = "services"


VALUES = {"BENCH_VALUES": "1"}
EXACT = {"BENCH_EXACT": "1"}
CONTENDERS = (
    Contender("consume, counting only", "consume"),
    Contender("consume, taking each value", "consume", VALUES),
    Contender("variant A, end to end, default settings", "variant_a"),
    Contender("consume, taking each value, library defaults", "consume", VALUES | {"BENCH_DEFAULTS": "1"}),
    Contender("Bytewax, tumbling minute, no sink, exact decimals", "bytewax_tumbling", EXACT, environment="bench"),
    Contender("Bytewax, tumbling minute, no sink, floats", "bytewax_tumbling", environment="bench"),
    Contender("Quix Streams, tumbling minute, no sink, floats", "quix_tumbling", share=0.1, environment="bench"),
)


def measure(stack: Stack, contender: Contender, topic: str, count: int, database: str) -> float:
    """Return the trades per second of one run in its own process, with the empty ``database``.

    Raises:
        subprocess.CalledProcessError: the contender failed.
        RuntimeError: the contender did not count all trades.
    """
    wanted = round(count * contender.share)
    env = stack.env(
        topic=topic, database=database, BENCH_COUNT=str(wanted), KAFKA_CONSUMER_GROUP=database, **contender.env
    )
    command = [str(python_of(contender.environment)), "-m", f"benchmarks.contenders.{contender.module}"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
    result = json.loads(done.stdout.splitlines()[-1])
    if result["trades"] < wanted:
        raise RuntimeError(f"{contender.name} counted {result['trades']} of {wanted} trades")
    return float(result["trades"]) / float(result["seconds"])


def run(stack: Stack, count: int, rounds: int) -> dict[str, float]:
    """Print the table and return the median trades per second by contender."""
    topic = stack.new_topic("bench.throughput")
    print(f"writing {count:,} trades of {len(SYMBOLS)} symbols ...", flush=True)
    load.produce(stack.kafka.bootstrap_servers, topic, load.trades(SYMBOLS, count, per_second=1000))
    rates: dict[str, list[float]] = {contender.name: [] for contender in CONTENDERS}
    for number in range(rounds):  # in turn, so that a slow phase of the machine affects all of them
        for contender in CONTENDERS:
            database = stack.new_database(f"{contender.module}_{number}")
            rates[contender.name].append(measure(stack, contender, topic, count, database))
    medians = {name: statistics.median(runs) for name, runs in rates.items()}
    limit, ours, untuned, exact_peer, peer = (medians[CONTENDERS[position].name] for position in range(1, 6))
    print(f"\n| contender ({count:,} trades, median of {rounds}) | trades/s | min-max |\n|---|---:|---:|")
    for name, runs in rates.items():
        print(f"| {name} | {medians[name]:,.0f} | {min(runs):,.0f}-{max(runs):,.0f} |")
    print(f"\nvariant A / consume with values: {ours / limit:.2f}   (aim: at least 0.5)")
    print(f"variant A / consume with values, library defaults: {ours / untuned:.2f}")
    print(f"variant A / Bytewax with exact decimals: {ours / exact_peer:.1f}   (aim: at least 5)")
    print(f"variant A / Bytewax with floats: {ours / peer:.1f}", flush=True)
    return medians
