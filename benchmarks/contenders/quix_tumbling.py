"""Quix Streams: one-minute tumbling windows by key, without a sink."""

import json
import os
import tempfile
import time

import msgspec
from quixstreams import Application

from benchmarks.contenders.fields import FETCH, Trade, add

clock_state = {"seen": 0, "started": 0.0, "ended": 0.0}


decode = msgspec.json.Decoder(Trade).decode


def parse(value: bytes) -> Trade:
    """Decode one record, and note the times of the first and the last one."""
    if not clock_state["started"]:
        clock_state["started"] = time.perf_counter()
    clock_state["seen"] += 1
    clock_state["ended"] = time.perf_counter()
    return decode(value)


def main() -> None:
    """Read BENCH_COUNT records and print the duration."""
    with tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            consumer_group=f"bench-{os.getpid()}",
            auto_offset_reset="earliest",
            state_dir=state,
            consumer_extra_config=FETCH,
            use_changelog_topics=False,
            loglevel="ERROR",
        )
        topic = app.topic(
            os.environ["KAFKA_TOPIC_TRADES"],
            value_deserializer="bytes",
            timestamp_extractor=lambda value, headers, timestamp, kind: decode(value).T,
        )
        windows = app.dataframe(topic).apply(parse).tumbling_window(duration_ms=60_000)
        windows.reduce(add, lambda trade: add([], trade)).final()
        app.run(count=int(os.environ["BENCH_COUNT"]), timeout=20, collect=False)
    print(json.dumps({"seconds": clock_state["ended"] - clock_state["started"], "trades": int(clock_state["seen"])}))


if __name__ == "__main__":
    main()
