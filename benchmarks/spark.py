"""Compare variant B (Spark) with variant A: start, trades per second and memory, then latency at a steady rate.

The counts come from the service's /metrics. The rate is measured from the end of the first micro-batch to that of the
last one, so that it does not contain the start of Spark, which is reported by itself.
"""

import statistics
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks import latency, load, memory, throughput
from benchmarks.stack import ROOT, Stack
from ops.common.loopback import LOOPBACK, free_port
from ops.local import trade_counts
from ops.local.programs import Program
from ops.setup import jars
from ops.setup.environments import python_of

_POLL_SECONDS = 0.05
_MEMORY_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class BacklogResult:
    """The result of merging a backlog.

    Attributes:
        first_batch_seconds: seconds from the start of the process to the first merged batch.
        rate: trades per second after that batch.
        peak_mb: the largest memory in MB.
    """

    first_batch_seconds: float
    rate: float
    peak_mb: float


def program(stack: Stack, name: str, env: dict[str, str]) -> Program:
    """Return variant B as a program with ``env``."""
    resolved = jars.ensure_jars(stack.folder / "logs" / "maven.log", "spark", jars.SPARK_POM)
    spark = {"SPARK_JARS_DIR": str(resolved), "SPARK_UI_PORT": str(free_port()), "SPARK_LOCAL_IP": LOOPBACK}
    command = [str(python_of("spark")), "-m", "crypto_analytics.spark_candles"]
    return Program(name, command, env={**env, **spark}, folder=ROOT, restart=False)


def sample(port: int, name: str) -> float:
    """Return a metric of the service on ``port``; 0 if it does not answer."""
    try:
        return trade_counts.metrics(port).get(name, 0.0)
    except OSError:
        return 0.0


def resident_mb(pid: int) -> float:
    """Return the memory of a process and its descendants in MB, with shared pages counted once (PSS)."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
    return total / 2**20


def backlog(stack: Stack, name: str, topic: str, count: int, **changes: str) -> BacklogResult:
    """Run variant B until it has merged a topic of ``count`` trades."""
    port, database = free_port(), stack.new_database(name)
    env = stack.env(topic=topic, database=database, KAFKA_CONSUMER_GROUP=database, METRICS_PORT=str(port), **changes)
    stack.supervisor.start(program(stack, name, env))
    started = looked = time.perf_counter()
    first = last = (0.0, 0.0)
    peak = 0.0

    def is_merged() -> bool:
        nonlocal first, last, looked, peak
        merged, now = sample(port, "trades_merged_total"), time.perf_counter()
        if merged > last[1]:
            last = (now, merged)
            first = first if first[1] else last
        if now - looked > _MEMORY_EVERY_SECONDS:
            looked, peak = now, max(peak, resident_mb(stack.supervisor.pid(name)))
        return merged >= count

    stack.supervisor.wait_until(is_merged, 600, f"{name}: the backlog is not merged", every=_POLL_SECONDS)
    stack.supervisor.stop(name)
    return BacklogResult(first[0] - started, (last[1] - first[1]) / (last[0] - first[0]), peak)


def run(stack: Stack, count: int, rounds: int, seconds: float) -> None:
    """Print the tables: throughput and memory with few and many symbols, and the latency at 2,000 trades/s."""
    topic = stack.new_topic("bench.spark")
    load.produce(stack.kafka.bootstrap_servers, topic, load.trades(throughput.SYMBOLS, count, per_second=1000))
    consumer = next(contender for contender in throughput.CONTENDERS if contender.module == "variant_a")
    masters = ("local[1]", "local[2]")
    rates: list[float] = []
    results: dict[str, list[BacklogResult]] = {master: [] for master in masters}
    for number in range(rounds):  # in turn, so that a slow phase of the machine affects all of them
        database = stack.new_database(f"spark_peer_{number}")
        rates.append(throughput.measure(stack, consumer, topic, count, database))
        for cores, master in enumerate(masters, 1):
            results[master].append(backlog(stack, f"spark_{cores}_{number}", topic, count, SPARK_MASTER=master))
    print(
        f"\n| variant ({count:,} trades, 3 symbols, median of {rounds}) | trades/s | first batch after | peak memory |"
    )
    print("|---|---:|---:|---:|")
    print(f"| A | {statistics.median(rates):,.0f} | | |")
    for master, runs in results.items():
        first, peak = statistics.median(run.first_batch_seconds for run in runs), max(run.peak_mb for run in runs)
        print(
            f"| B, {master} | {statistics.median(run.rate for run in runs):,.0f} | {first:.1f} s | {peak:,.0f} MB |",
            flush=True,
        )
    names = memory.symbols(2_000)
    topic = stack.new_topic("bench.spark.2000")
    load.produce(stack.kafka.bootstrap_servers, topic, load.trades(names, count, per_second=5_000))
    many = backlog(stack, "spark_2000", topic, count, SYMBOLS=",".join(names))
    print(f"| B, local[2], 2,000 symbols, one run | {many.rate:,.0f} | {many.first_batch_seconds:.1f} s | "
          f"{many.peak_mb:,.0f} MB |", flush=True)  # fmt: skip
    latency.run(stack, per_second=2_000, seconds=seconds, make=program, name="latency_spark", aim=5)
