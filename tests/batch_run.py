"""Run dbt, the quality gate and the batch on a test's database, and compute the expected rows in plain Python."""

import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import psycopg

from ops.common import child_environment
from ops.setup.environments import python_of
from tests.servers import ROOT, Database

SYMBOLS = "BTCUSDT,ETHUSDT"
MEASURES = (
    "open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume",
    "taker_buy_quote_volume", "vwap",
)  # fmt: skip
Row = dict[str, Any]
Key = tuple[str, datetime]


def dbt_program() -> Path:
    """Return the dbt of BATCH_DBT, or that of the environment created by ``make test``."""
    return Path(os.environ.get("BATCH_DBT") or python_of("dbt").with_name("dbt"))


def ge_python() -> Path:
    """Return the Python of BATCH_PYTHON_GE, or that of the environment created by ``make test``."""
    return Path(os.environ.get("BATCH_PYTHON_GE") or python_of("ge"))


@dataclass(frozen=True)
class Batch:
    """The batch on one database, with its files below ``folder``."""

    database: Database
    folder: Path

    def env(self, **changes: str) -> dict[str, str]:
        """Return the environment of the batch runner."""
        return {
            **child_environment.plain(os.environ),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)]),
            "POSTGRES_HOST": self.database.host,
            "POSTGRES_PORT": str(self.database.port),
            "POSTGRES_DB": self.database.database,
            **{
                f"{role.upper()}_PASSWORD": self.database.passwords[role]
                for role in ("writer", "transformer", "gate", "reader")
            },
            "SYMBOLS": SYMBOLS,
            "OBJECT_STORE": "directory",
            "OBJECT_STORE_DIR": str(self.folder / "objects"),
            "BATCH_DBT": str(dbt_program()),
            "BATCH_PYTHON_GE": str(ge_python()),
            "BATCH_PROJECT_DIR": str(ROOT),
            "BATCH_RETRIES": "0",
            "DBT_TARGET_PATH": str(self.folder / "dbt" / "target"),
            "DBT_LOG_PATH": str(self.folder / "dbt" / "logs"),
            **changes,
        }

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the batch with ``arguments`` and return its exit code and output."""
        command = [sys.executable, "-m", "crypto_analytics.batch", *arguments]
        return self._run(command, self.env(**changes))

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt as the role transformer; it must succeed."""
        options = ["--project-dir", "dbt", "--profiles-dir", "dbt", "--no-use-colors"]
        done = self._run([str(dbt_program()), *arguments, *options], self.env(**self.database.env("transformer")))
        assert done.returncode == 0, done.stdout
        return done

    def gate(self, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the quality gate as the role gate."""
        return self._run([str(ge_python()), "-m", "ge"], self.env(**self.database.env("gate"), **changes))

    def rows(self, table: str) -> dict[Key, Row]:
        """Return all rows of a candle table by symbol and open time."""
        with self.database.connect() as connection:
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            found = cursor.execute(f"select * from {table}".encode()).fetchall()
        return {(row["symbol"], row["open_time"]): row for row in found}

    def built(self) -> dict[str, dict[Key, Row]]:
        """Return all rows of silver, gold and the reconciliation."""
        names = ("silver_klines_1m", "gold_klines_5m", "gold_klines_1h", "reconciliation_klines_1m")
        return {name: self.rows(f"analytics.{name}") for name in names}

    def _run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )


def kline(open_time: datetime, price: int, symbol: str = "BTCUSDT", **changes: object) -> Row:
    """Return a valid kline with the given ``price``, and with ``changes`` to its fields."""
    return {
        "symbol": symbol,
        "open_time": open_time,
        "open": Decimal(price),
        "high": Decimal(price + 3),
        "low": Decimal(price - 2),
        "close": Decimal(price + 1),
        "volume": Decimal("1.5"),
        "quote_volume": Decimal(price) * Decimal("1.5"),
        "trade_count": 4,
        "taker_buy_volume": Decimal("0.5"),
        "taker_buy_quote_volume": Decimal(price) * Decimal("0.5"),
        **changes,
    }


def put_official(connection: psycopg.Connection, *rows: Row) -> None:
    """Insert or correct official klines, as the backfill does."""
    _follow(connection, rows)
    for row in rows:
        _upsert(connection, "raw_klines", {**row, "close_time": row["open_time"] + timedelta(minutes=1), "ignore": "0"})


def put_realtime(connection: psycopg.Connection, *rows: Row) -> None:
    """Insert or change realtime candles, as the consumer does; complete unless ``is_complete`` is False."""
    _follow(connection, rows)
    for row in rows:
        _upsert(
            connection, "fact_realtime_trades_1m", {"is_complete": True, "first_trade_id": 1, "last_trade_id": 4, **row}
        )


def _follow(connection: psycopg.Connection, rows: tuple[Row, ...]) -> None:
    """Mark the symbols of ``rows`` as followed, as the backfill does at its start."""
    connection.execute(
        "insert into symbols (symbol, status, followed_since) select distinct symbol, 'followed', now() "
        "from unnest(%s::text[]) as symbol on conflict (symbol) do nothing",
        [[row["symbol"] for row in rows]],
    )


def _upsert(connection: psycopg.Connection, table: str, row: Row) -> None:
    changes = ", ".join(f"{name} = excluded.{name}" for name in row)
    query = (
        f"insert into {table} ({', '.join(row)}) values ({', '.join(['%s'] * len(row))}) "
        f"on conflict (symbol, open_time) do update set {changes}, updated_at = now()"
    )
    connection.execute(query.encode(), list(row.values()))


def expected_silver(batch: Batch) -> dict[Key, Row]:
    """Return the expected rows of silver, computed from the services' tables."""
    chosen = {
        key: {**row, "source": "realtime"}
        for key, row in batch.rows("fact_realtime_trades_1m").items()
        if row["is_complete"]
    }
    chosen |= {key: {**row, "source": "official"} for key, row in batch.rows("raw_klines").items()}
    return {key: _measures(row) | {"source": row["source"]} for key, row in chosen.items()}


def expected_gold(batch: Batch, minutes: int) -> dict[Key, Row]:
    """Return the expected rows of the rollup to ``minutes`` minutes, computed from the services' tables."""
    return rolled_up(expected_silver(batch), minutes)


def rolled_up(silver: dict[Key, Row], minutes: int) -> dict[Key, Row]:
    """Return the complete buckets of ``minutes`` minutes of ``silver``."""
    buckets: dict[Key, list[tuple[datetime, Row]]] = defaultdict(list)
    for (symbol, open_time), row in silver.items():
        midnight = open_time.replace(hour=0, minute=0)
        start = midnight + (open_time - midnight) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
        buckets[symbol, start].append((open_time, row))
    candles = {}
    for key, members in buckets.items():
        rows = [row for _, row in sorted(members, key=lambda member: member[0])]
        if len(rows) == minutes:
            sums = {name: sum(row[name] for row in rows) for name in MEASURES[4:9]}
            prices = {"open": rows[0]["open"], "close": rows[-1]["close"]}
            extremes = {"high": max(row["high"] for row in rows), "low": min(row["low"] for row in rows)}
            candles[key] = _measures(prices | extremes | sums)
    return candles


def _measures(row: Row) -> Row:
    vwap = None
    if row["volume"]:
        vwap = (row["quote_volume"] / row["volume"]).quantize(Decimal("1e-8"), ROUND_HALF_UP)
    return {name: row[name] for name in MEASURES[:-1]} | {"vwap": vwap}


def values(rows: dict[Key, Row], *extra: str) -> dict[Key, Row]:
    """Return only the measures of ``rows``, and the columns ``extra``."""
    return {key: {name: row[name] for name in (*MEASURES, *extra)} for key, row in rows.items()}


def changed(before: dict[Key, Row], after: dict[Key, Row]) -> set[Key]:
    """Return the keys of the rows whose updated_at changed, and of the inserted and deleted rows."""
    keys = before.keys() | after.keys()
    return {
        key for key in keys if (before.get(key) or {}).get("updated_at") != (after.get(key) or {}).get("updated_at")
    }
