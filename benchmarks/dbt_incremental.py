"""Compare the duration of an incremental dbt run over a year of silver with one over a day. ``make bench`` runs it.

Two databases hold the official klines of three symbols, for 366 days and for one day. Both are built in full once.
Then each in turn gets a late realtime minute, a corrected kline and a new one, and ``dbt run --select tag:silver
tag:gold`` is timed as a whole process. An incremental run reads only the changed rows, so the two medians must be
close.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from crypto_analytics.jobs.migrate import migrations
from ops.common.loopback import LOOPBACK, free_port
from ops.local import postgres
from ops.local.supervisor import Supervisor
from ops.setup.environments import python_of

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
DAYS = {"day": 1, "year": 366}
LARGEST_RATIO = 1.5
FIRST_DAY = "2025-11-21 00:00+00"

# The price changes each minute. The numbers are arbitrary, but each candle is a valid one.
GENERATE = """
    insert into raw_klines
    select
        symbol, minute, price, price + 2, price - 2, price + 1, 3, minute + interval '59.999 seconds',
        3 * price, 12, 1, price, '0'
    from unnest(%(symbols)s::text[]) as symbol
    cross join generate_series(0, %(days)s * 1440 - 1) as number
    cross join lateral (select %(first)s::timestamptz + number * interval '1 minute' as minute) as at
    cross join lateral (select 1000 + (extract(epoch from minute)::bigint / 60 %% 977)::numeric as price) as drawn
"""

# The changes between two runs: an old kline is corrected, a new kline and a new realtime candle are inserted.
CHANGE = """
    update raw_klines set volume = volume + 1, updated_at = now()
    where open_time = %(first)s::timestamptz + %(round)s * interval '1 minute';
    insert into raw_klines
    select
        symbol, max(open_time) + interval '1 minute', 1000, 1002, 998, 1001, 3, max(close_time) + interval '1 minute',
        3000, 12, 1, 1000, '0'
    from raw_klines group by symbol;
    insert into fact_realtime_trades_1m (
        symbol, open_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
        taker_buy_quote_volume, first_trade_id, last_trade_id, is_complete
    )
    select
        symbol, max(open_time) + interval '1 day', 1000, 1002, 998, 1001, 3, 3000, 12, 1, 1000, 1, 12, true
    from raw_klines group by symbol;
"""


class Warehouse:
    """A PostgreSQL server with a database for each of DAYS, and the dbt program that builds the models in them."""

    def __init__(self, server: postgres.PostgresServer, folder: Path, dbt: str) -> None:
        self._server = server
        self._folder = folder
        self._dbt = dbt
        self._passwords = {role: postgres.new_password() for role in ("writer", "transformer", "gate", "reader")}

    def create(self, name: str) -> int:
        """Create and fill the database ``name`` and return its number of klines."""
        with psycopg.connect(self._server.conninfo(), autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        with psycopg.connect(self._server.conninfo(name), autocommit=True) as connection:
            migrations.apply(connection, ROOT / "migrations", self._passwords)
            values = {"symbols": list(SYMBOLS), "first": FIRST_DAY, "days": DAYS[name]}
            return connection.execute(GENERATE, values).rowcount

    def change(self, name: str, number: int) -> None:
        """Change the rows of the database ``name`` for round ``number``."""
        with psycopg.connect(self._server.conninfo(name), cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(CHANGE, {"first": FIRST_DAY, "round": number})

    def run(self, name: str) -> float:
        """Run dbt on the database ``name`` and return the seconds of the whole process."""
        env = {
            **os.environ,
            "POSTGRES_HOST": LOOPBACK,
            "POSTGRES_PORT": str(self._server.port),
            "POSTGRES_DB": name,
            "POSTGRES_USER": "transformer",
            "POSTGRES_PASSWORD": self._passwords["transformer"],
            "SYMBOLS": ",".join(SYMBOLS),
            "DBT_TARGET_PATH": str(self._folder / name / "target"),
            "DBT_LOG_PATH": str(self._folder / name / "logs"),
        }
        project = str(ROOT / "dbt")
        command = [self._dbt, "run", "--project-dir", project, "--profiles-dir", project]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--select", "tag:silver", "tag:gold"], env=env, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise SystemExit(f"dbt failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        return seconds

    def count(self, name: str, table: str) -> int:
        """Return the number of rows of analytics.``table``."""
        with psycopg.connect(self._server.conninfo(name)) as connection:
            row = connection.execute(f"select count(*) from analytics.{table}".encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def warehouse(dbt: str) -> Iterator[Warehouse]:
    """Yield an empty warehouse in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="crypto-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = postgres.PostgresServer(folder / "postgres", free_port(), postgres.new_password())
        with Supervisor(folder) as supervisor:
            supervisor.start(postgres.program(server))
            supervisor.wait_ready("postgres")
            yield Warehouse(server, folder, dbt)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if the year takes more than LARGEST_RATIO times as long as the day."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dbt_incremental",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed incremental runs per database (default 5)")
    own = str(python_of("dbt").with_name("dbt"))
    parser.add_argument("--dbt", default=os.environ.get("BATCH_DBT", own), help="the dbt program (default BATCH_DBT)")
    options = parser.parse_args(arguments)
    with warehouse(options.dbt) as house:
        for name in DAYS:
            rows = house.create(name)
            print(f"{name:>5}: {rows:>9,} klines, full build in {house.run(name):5.1f} s", flush=True)
        seconds: dict[str, list[float]] = {name: [] for name in DAYS}
        for number in range(options.rounds):
            for name in DAYS:
                house.change(name, number)
                seconds[name].append(house.run(name))
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        for name, times in seconds.items():
            listed = " ".join(f"{value:.2f}" for value in times)
            silver, gold = house.count(name, "silver_klines_1m"), house.count(name, "gold_klines_5m")
            print(f"{name:>5}: {silver:>9,} silver, {gold:>7,} gold rows; median {medians[name]:.2f} s of {listed}")
    ratio = medians["year"] / medians["day"]
    print(f"an incremental run over a year takes {ratio:.2f} times one over a day (at most {LARGEST_RATIO} wanted)")
    return 0 if ratio <= LARGEST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
