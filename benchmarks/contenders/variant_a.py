"""Variant A as in production: decode, validate, deduplicate, archive and merge into PostgreSQL, all exact."""

import json
import os
import threading
import time

import structlog
from confluent_kafka import Message

from crypto_analytics.consumer.__main__ import build
from crypto_analytics.consumer.settings import ConsumerSettings
from crypto_analytics.runtime import health
from crypto_analytics.streaming.decoded_records import DecodedRecords
from crypto_analytics.streaming.merger import BatchResult


def main() -> None:
    """Merge BENCH_COUNT trades and print the seconds from the first record read to the last commit."""
    count = int(os.environ["BENCH_COUNT"])
    stop = threading.Event()
    service, watch = build(ConsumerSettings(), stop, health.Health(), structlog.stdlib.get_logger())  # type: ignore[call-arg]
    merger = service._merger
    merged, started, ended, batches = 0, 0.0, 0.0, 0

    class TimedService(type(service)):  # type: ignore[misc]
        def _decode(self, messages: list[Message]) -> DecodedRecords:
            nonlocal started
            if not started:
                started = time.perf_counter()
            records: DecodedRecords = super()._decode(messages)
            return records

    class TimedMerger(type(merger)):  # type: ignore[misc]
        def merge(self, records: DecodedRecords) -> BatchResult:
            nonlocal merged, ended, batches
            result: BatchResult = super().merge(records)
            merged, batches, ended = merged + result.merged.trades, batches + 1, time.perf_counter()
            if merged >= count:
                stop.set()
            return result

    service.__class__ = TimedService
    merger.__class__ = TimedMerger
    with watch:
        service.run()
    print(json.dumps({"seconds": ended - started, "trades": merged, "batches": batches}))


if __name__ == "__main__":
    main()
