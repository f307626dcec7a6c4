"""The upper limit: confluent-kafka's ``consume``, which counts the records and, for BENCH_VALUES=1, takes their values.

BENCH_DEFAULTS=1 keeps the library's default pause on a full queue.
"""

import json
import os
import time

from confluent_kafka import Consumer

from benchmarks.contenders.fields import FETCH


def main() -> None:
    """Consume BENCH_COUNT records and print the duration."""
    count, with_values = int(os.environ["BENCH_COUNT"]), os.environ.get("BENCH_VALUES") == "1"
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": f"bench-{os.getpid()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **({} if os.environ.get("BENCH_DEFAULTS") == "1" else FETCH),
        }
    )
    consumer.subscribe([os.environ["KAFKA_TOPIC_TRADES"]])
    seen, size, started = 0, 0, 0.0
    while seen < count:
        messages = consumer.consume(10_000, 0.2)
        if messages and not started:
            started = time.perf_counter()
        seen += len(messages)
        if with_values:
            values = [message.value() for message in messages]
            size += len(values)
    seconds = time.perf_counter() - started
    consumer.close()
    print(json.dumps({"seconds": seconds, "trades": seen}))


if __name__ == "__main__":
    main()
