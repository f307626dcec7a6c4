"""One batch run catches up after a day of downtime, and a run without new data writes nothing; -rP shows seconds."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.batch_run import SYMBOLS, Batch, expected_gold, values
from tests.servers import Database, SimulatedExchange

NOW = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTES = 24 * 60
SHORT = "backfill_recent,dbt_silver,dbt_gold,export_lake"  # without tests and gate


@pytest.mark.timeout(400)
def test_one_run_catches_up_and_the_next_has_nothing_to_do(
    postgres: Database, simulator: Callable[..., SimulatedExchange], tmp_path: Path
) -> None:
    batch = Batch(postgres, tmp_path)
    exchange = simulator(SYMBOLS=SYMBOLS, SIM_HISTORY_MINUTES=str(4 * MINUTES), SIM_TRADES_PER_MINUTE="2")

    def run(as_of: datetime, *arguments: str) -> None:
        report = tmp_path / "report.json"
        done = batch.run(*arguments, "--report", str(report), **exchange.env(), AS_OF=as_of.isoformat())
        assert done.returncode == 0, done.stdout
        found: dict[str, Any] = json.loads(report.read_text())
        steps = ", ".join(f"{step['name']} {step['seconds']:.1f}" for step in found["steps"])
        print(f"as of {as_of:%d.%m. %H:%M}: {found['seconds']:.1f} s ({steps})")

    run(NOW - DAY, "--steps", SHORT)
    days = 2 * 2 * MINUTES  # two symbols over the two days of the backfill
    assert len(batch.rows("analytics.silver_klines_1m")) == days

    run(NOW)  # no service ran for a day
    built, objects = batch.built(), written(tmp_path)
    assert len(built["silver_klines_1m"]) == days + 2 * MINUTES
    assert values(built["gold_klines_5m"]) == expected_gold(batch, 5)
    assert values(built["gold_klines_1h"]) == expected_gold(batch, 60)
    for symbol in SYMBOLS.split(","):
        assert f"gold/klines_1h/symbol={symbol}/date=2026-01-04/part.parquet" in objects

    run(NOW)
    assert batch.built() == built, "rows that did not change were written"
    assert written(tmp_path) == objects, "objects that did not change were written"


def written(folder: Path) -> dict[str, int]:
    """Return the time of the last write of each object of the lake."""
    lake = folder / "objects"
    return {
        str(path.relative_to(lake)): path.stat().st_mtime_ns
        for bucket in ("bronze", "silver", "gold")
        for path in (lake / bucket).rglob("*")
        if path.is_file()
    }
