"""Run ``python -m benchmarks``: the platform's programs beside peers and limits. Prints Markdown."""

import argparse
import os
import platform

from benchmarks import api, candles_topic, change_feed, dbt_incremental, latency, memory, push, spark, throughput
from benchmarks.stack import stack
from ops.setup.environments import python_of

PARTS = ["throughput", "feed", "latency", "push", "memory", "candles", "api", "spark", "dbt"]


def main() -> int:
    """Run all benchmarks, or the named ones."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="benchmarks to run (default: all)")
    parser.add_argument("--trades", type=int, default=2_400_000, help="trades in the topic (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="duration of the latency run (default %(default)s)")
    arguments = parser.parse_args()
    wanted = arguments.what or PARTS
    print(f"{os.cpu_count()} processors, Python {platform.python_version()}, broker and database on this machine")
    with stack() as running:
        if "throughput" in wanted:
            throughput.run(running, arguments.trades, arguments.rounds)
        if "feed" in wanted:
            change_feed.run(running, arguments.trades, 3 * arguments.rounds)
        if "latency" in wanted:
            latency.run(running, per_second=5_000, seconds=arguments.seconds)
        if "push" in wanted:
            push.run(running, seconds=arguments.seconds)
        if "memory" in wanted:
            memory.run(running, symbol_count=3, trades=arguments.trades, per_second=5_000)
            memory.run(running, symbol_count=2_000, trades=arguments.trades // 2, per_second=5_000)
        if "candles" in wanted:
            candles_topic.run(running, arguments.trades // 4, arguments.rounds)
        if "api" in wanted:
            api.run(running, arguments.seconds / 2)
        if "spark" in wanted:
            spark.run(running, arguments.trades // 2, arguments.rounds, arguments.seconds)
    if "dbt" in wanted:
        return dbt_incremental.main(["--dbt", str(python_of("dbt").with_name("dbt"))])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
