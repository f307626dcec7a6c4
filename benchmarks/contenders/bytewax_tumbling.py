"""Bytewax: one-minute tumbling windows by symbol, without a sink."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
import msgspec
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from benchmarks.contenders.fields import FETCH, Trade, add

decode = msgspec.json.Decoder(Trade).decode
clock_state = {"seen": 0, "started": 0.0, "ended": 0.0}


def parse(message: KafkaSourceMessage) -> tuple[str, Trade]:
    """Decode one record, and note the times of the first and the last one."""
    if not clock_state["started"]:
        clock_state["started"] = time.perf_counter()
    clock_state["seen"] += 1
    clock_state["ended"] = time.perf_counter()
    trade = decode(message.value)
    return trade.s, trade


def main() -> None:
    """Run the dataflow to the end of the topic and print its duration."""
    flow = Dataflow("bench")
    source = KafkaSource([os.environ["KAFKA_BOOTSTRAP_SERVERS"]], [os.environ["KAFKA_TOPIC_TRADES"]], tail=False,
                         add_config=FETCH, batch_size=10_000)  # fmt: skip
    trades = op.map("parse", op.input("in", flow, source), parse)
    clock = win.EventClock(
        ts_getter=lambda trade: datetime.fromtimestamp(trade.T / 1000, UTC), wait_for_system_duration=timedelta(0)
    )
    windower = win.TumblingWindower(length=timedelta(minutes=1), align_to=datetime(2026, 1, 1, tzinfo=UTC))
    candles = win.fold_window("candles", trades, clock, windower, list, add, lambda left, right: left + right)
    closed: list[object] = []
    op.output("out", candles.down, TestingSink(closed))
    run_main(flow)
    print(json.dumps({"seconds": clock_state["ended"] - clock_state["started"], "trades": int(clock_state["seen"])}))


if __name__ == "__main__":
    main()
