"""The batch as its CronJob runs it: from klines and candles to gold, and into the lake."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from pyarrow import parquet

from tests.e2e.kubernetes import Kubernetes
from tests.e2e.platforms import Platform
from tests.e2e.streaming import DEFAULT_SYMBOLS, official_klines, wait_caught_up
from tests.oracle import Key

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]

MEASURES = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume",
            "taker_buy_quote_volume")  # fmt: skip


def test_a_batch_job_builds_gold(kubernetes: Kubernetes, platform: Platform) -> None:
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    started = datetime.now(UTC)
    (batch,) = kubernetes.get("cronjobs", "-l", "app.kubernetes.io/name=batch")
    template = batch["spec"]["jobTemplate"]
    job = {"apiVersion": "batch/v1", "kind": "Job",
           "metadata": {"name": "batch-e2e", "labels": template.get("metadata", {}).get("labels", {})},
           "spec": template["spec"]}  # fmt: skip
    kubernetes.run_job(job, 480)
    klines = official_klines(platform, DEFAULT_SYMBOLS, started - timedelta(hours=2))
    wanted = whole_buckets({key: row for key, row in klines.items() if key[1] + timedelta(minutes=1) <= started})
    assert len(wanted) >= 3
    with platform.postgres("reader") as connection:
        rows = connection.execute(f"select symbol, open_time, {', '.join(MEASURES)} from analytics.gold_klines_5m")
        gold = {(symbol, time): dict(zip(MEASURES, map(Decimal, its), strict=True)) for symbol, time, *its in rows}
        waiting = connection.execute(
            "select symbol, open_time, status from analytics.reconciliation_klines_1m where status = 'different'"
        ).fetchall()
    assert {key: gold.get(key) for key in wanted} == wanted
    assert waiting == []
    lake = platform.objects("reader")
    exported = [item.key for item in lake.list("gold", "klines_5m/") if item.key.endswith(".parquet")]
    times = {key: parquet.read_table(BytesIO(lake.get("gold", key)), columns=["open_time"]) for key in exported}
    assert {
        (key.partition("symbol=")[2].partition("/")[0], time)
        for key, table in times.items()
        for time in table["open_time"].to_pylist()
    } == set(gold)


def whole_buckets(klines: dict[Key, list[Any]]) -> dict[Key, dict[str, Decimal]]:
    """Return the five-minute candles of which all five minutes are there, added up in the plainest way."""
    minutes: dict[Key, list[list[Any]]] = {}
    for (symbol, time), row in sorted(klines.items()):
        bucket = time - timedelta(minutes=time.minute % 5)
        minutes.setdefault((symbol, bucket), []).append(
            [Decimal(row[column]) for column in (1, 2, 3, 4, 5, 7, 8, 9, 10)]
        )
    return {
        key: {
            "open": rows[0][0],
            "high": max(row[1] for row in rows),
            "low": min(row[2] for row in rows),
            "close": rows[-1][3],
            **{name: sum(row[4 + place] for row in rows) for place, name in enumerate(MEASURES[4:])},
        }
        for key, rows in minutes.items()
        if len(rows) == 5
    }
