"""Whole runs of recordings that once failed; the refused ones are in the unit tests."""

import csv
import json
from decimal import Decimal
from pathlib import Path

from tests.integration import test_local_demo
from tests.integration.test_local_demo import Demo

demo = test_local_demo.demo  # the fixture


def test_a_new_listing_is_whole_from_trade_zero(demo: Demo, recorded_faults: Path) -> None:
    code, output = demo.run(REPLAY=str(recorded_faults / "NEWUSDT-trades-id0.csv"))
    assert code == 0, output
    report = json.loads((demo.folder / "report" / "report.json").read_text())
    assert {report[name] for name in ("trades_sent", "merged", "archived", "archive_trade_ids")} == {300}
    assert {report[name] for name in ("dead_letters", "gaps_found", "gaps_open", "missing_trades")} == {0}
    with (demo.folder / "report" / "candles_1m.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (first["open_time"], first["is_complete"], first["first_trade_id"]) == ("2025-03-04T00:00:00Z", "t", "0")
    assert (Decimal(first["open"]), Decimal(first["volume"]), first["trade_count"]) == (100, 210, "60")


def test_a_trade_without_quantity_is_one_dead_letter_and_the_rest_is_merged(demo: Demo, recorded_faults: Path) -> None:
    code, output = demo.run(REPLAY=str(recorded_faults / "ZEROUSDT-trades-zeroqty.csv"))
    assert code == 0, output
    report = json.loads((demo.folder / "report" / "report.json").read_text())
    assert (report["trades_sent"], report["merged"], report["dead_letters"]) == (300, 299, 1)
    assert report["missing_trades"] == 1  # its id counts as refused, not as lost
