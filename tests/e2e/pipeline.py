"""The batch in a running Airflow: its runs, what they have to build, and what a poisoned row must stop."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crypto_analytics.batch.step_definitions import RETRIES, STEPS
from ops.platform.airflow import Airflow, has_ended
from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, official_klines
from tests.e2e.waiting import wait_until
from tests.e2e.workloads import Object
from tests.oracle import Key

MEASURES = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume",
            "taker_buy_quote_volume")  # fmt: skip
NAMES = [step.name for step in STEPS]
RUN_SECONDS = 240  # from the trigger to the end of the run
RECEIVER = "alert-e2e"
# A webhook on port 8000 that prints what it receives, one line for each message.
RECEIVER_PROGRAM = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *message):
        pass
HTTPServer(("", 8000), Handler).serve_forever()
"""


class Pipeline(ABC):
    """The pipeline in the running Airflow, and its webhook."""

    def __init__(self, api: Airflow) -> None:
        self.api = api

    @abstractmethod
    def receiver_log(self) -> str:
        """Return what the webhook printed."""

    def run(self, seconds: float = RUN_SECONDS) -> tuple[Object, dict[str, Object]]:
        """Trigger a run, wait for its end, and return it with its tasks."""
        run = self.api.trigger()
        return self.ended(run, seconds), self.api.tasks(run)

    def ended(self, run: str, seconds: float = RUN_SECONDS) -> Object:
        """Wait for the end of ``run`` and return it."""

        def over() -> Object | None:
            its = self.api.run(run)
            return its if has_ended(its) else None

        return wait_until(over, seconds, f"run {run} ends", every=1)

    def wait_for(self, run: str, task: str, state: str, number: int = 1, seconds: float = 120) -> None:
        """Wait until a try of ``task`` is in ``state``."""

        def reached() -> bool:
            its = self.api.tasks(run)[task]
            return bool(its["state"] == state and its["try_number"] == number)

        wait_until(reached, seconds, f"try {number} of {task} is {state}", every=0.5)

    def alerts(self) -> list[str]:
        """Return the texts that the webhook received."""
        return [json.loads(line)["text"] for line in self.receiver_log().splitlines()]


@contextmanager
def poisoned(platform: Platform) -> Iterator[None]:
    """Put rows into silver that the gate has to find, and remove them afterwards."""
    long_ago = {"open_time": "2001-01-01T00:00:00Z"}
    with platform.postgres("superuser") as connection:
        for symbol, wrong in (
            ("BTCUSDT", {"volume": -1} | long_ago),
            ("ETHUSDT", {"low": 10**9} | long_ago),
            ("BNBUSDT", {"symbol": "POISONUSDT"}),
        ):
            connection.execute(
                "insert into analytics.silver_klines_1m select (jsonb_populate_record(silver, %s)).*"
                " from analytics.silver_klines_1m as silver where symbol = %s limit 1",
                [json.dumps(wrong), symbol],
            )
    try:
        yield
    finally:
        with platform.postgres("superuser") as connection:
            connection.execute(
                "delete from analytics.silver_klines_1m where symbol = 'POISONUSDT' or open_time < '2010-01-01'"
            )


def check_stopped_at_the_gate(tasks: dict[str, Object]) -> None:
    """Check that the gate failed in all its tries, and that gold was not built."""
    assert (tasks["ge_validate"]["state"], tasks["ge_validate"]["try_number"]) == ("failed", RETRIES + 1)
    assert tasks["dbt_gold"]["state"] == "upstream_failed"


def check_alert(alert: str, run: str, port: int) -> None:
    """Check what an alert about the gate in ``run`` tells; ``port`` is Airflow's."""
    for word in ("crypto_batch_pipeline", "ge_validate", run, f"{RETRIES + 1} tries", "exit code", "FAILED",
                 "docs/runbooks/batch-failed.md", f"http://127.0.0.1:{port}/"):  # fmt: skip
        assert word in alert, alert


def gold(platform: Platform) -> dict[Key, dict[str, Decimal]]:
    """Return the five-minute candles of gold."""
    with platform.postgres("reader") as connection:
        rows = connection.execute(f"select symbol, open_time, {', '.join(MEASURES)} from analytics.gold_klines_5m")
        return {(symbol, at): dict(zip(MEASURES, map(Decimal, its), strict=True)) for symbol, at, *its in rows}


def check_gold(platform: Platform, until: datetime) -> dict[Key, dict[str, Decimal]]:
    """Check that gold has each whole candle that ended before ``until``, as computed from the exchange; return gold."""
    klines = official_klines(platform, DEFAULT_SYMBOLS, until - timedelta(hours=2))
    wanted = whole_buckets({key: row for key, row in klines.items() if key[1] + timedelta(minutes=1) <= until})
    assert len(wanted) >= len(DEFAULT_SYMBOLS)
    found = gold(platform)
    assert {key: found.get(key) for key in wanted} == wanted
    return found


def whole_buckets(klines: dict[Key, list[Any]]) -> dict[Key, dict[str, Decimal]]:
    """Return the five-minute candles with all five minutes, computed in plain Python."""
    minutes: dict[Key, list[list[Any]]] = {}
    for (symbol, at), row in sorted(klines.items()):
        bucket = at - timedelta(minutes=at.minute % 5)
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
