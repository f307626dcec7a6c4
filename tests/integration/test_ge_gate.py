"""The batch and its quality gate: a silver row that fails the suite stops gold, and the output names it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from tests.batch_run import Batch, expected_gold, kline, put_official, values
from tests.servers import Servers

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
FROM_SILVER = "dbt_silver,dbt_test_silver,ge_validate,dbt_gold,dbt_test_gold,export_lake"


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def history(batch: Batch) -> list[tuple[bool, int, int, list[str], str]]:
    """Return the gate's runs as the dashboard reads them, the oldest first."""
    with batch.database.connect("reader") as reader:
        return reader.execute(
            "select succeeded, expectations, failed, failures, docs_path from quality_gate_runs order by run_time"
        ).fetchall()


@pytest.fixture(scope="module")
def batch(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    with servers.database() as database:
        with database.connect("writer") as writer:
            put_official(writer, *(kline(minute(number), 1000 + number) for number in range(20)))
        yield Batch(database, tmp_path_factory.mktemp("ge_gate"))


def test_good_klines_pass_through_all_steps(batch: Batch) -> None:
    report = batch.folder / "report.json"
    done = batch.run("--steps", FROM_SILVER, "--report", str(report), AS_OF="2026-01-05T10:19:30Z")
    assert done.returncode == 0, done.stdout
    assert "33 of 33 expectations hold" in done.stdout
    assert values(batch.rows("analytics.gold_klines_5m")) == expected_gold(batch, 5)
    written = json.loads(report.read_text())
    assert [step["name"] for step in written["steps"]] == FROM_SILVER.split(",")
    assert all(step["exit_code"] == 0 and step["seconds"] > 0 for step in written["steps"])
    assert (batch.folder / "objects/data-docs/site/index.html").is_file()
    assert (batch.folder / "objects/gold/klines_5m/symbol=BTCUSDT/date=2026-01-05/part.parquet").is_file()
    assert batch.database.passwords["gate"] not in done.stdout
    [(succeeded, expectations, failed, failures, docs_path)] = history(batch)
    assert (succeeded, expectations, failed, failures) == (True, 33, 0, [])
    assert (batch.folder / "objects/data-docs/site" / docs_path).is_file()


def test_a_bad_kline_stops_gold_and_the_expectation_is_named_in_the_last_line(batch: Batch) -> None:
    before = batch.rows("analytics.gold_klines_5m")
    with batch.database.connect("writer") as writer:
        put_official(writer, kline(minute(7), 1007, volume=Decimal(-5), taker_buy_volume=Decimal(-5)))
        put_official(writer, *(kline(minute(number), 1000 + number) for number in range(20, 25)))  # a valid new bucket
    done = batch.run("--steps", FROM_SILVER)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert "ge_validate failed with exit code 1 after 1 try" in last
    assert "expect_column_values_to_be_between(volume, min_value=0.0): 1 of 25 rows" in last
    assert "symbol=BTCUSDT open_time=2026-01-05T10:07:00+00:00" in last
    assert last.endswith("python -m crypto_analytics.batch --steps ge_validate")
    assert "== dbt_gold" not in done.stdout
    succeeded, _, failed, failures, docs_path = history(batch)[-1]
    assert (succeeded, failed) == (False, len(failures))
    assert "expect_column_values_to_be_between(volume, min_value=0.0): 1 of 25 rows" in " ".join(failures)
    assert docs_path in (batch.folder / "objects/data-docs/site/index.html").read_text()
    assert batch.rows("analytics.gold_klines_5m") == before
    with batch.database.connect("reader") as reader:
        assert reader.execute("select newest_gold_time from analytics.pipeline_health").fetchall()
    with batch.database.connect("writer") as writer:
        put_official(writer, kline(minute(7), 1007))
    assert batch.run("--steps", "dbt_silver,ge_validate,dbt_gold").returncode == 0
    assert set(batch.rows("analytics.gold_klines_5m")) - set(before) == {("BTCUSDT", minute(20))}


BREAK_EVERYTHING = """
    alter table analytics.silver_klines_1m drop constraint silver_klines_1m_pkey;
    alter table analytics.silver_klines_1m alter close drop not null;
    alter table analytics.silver_klines_1m alter quote_volume type double precision;
    insert into analytics.silver_klines_1m
        select * from analytics.silver_klines_1m where open_time = '2026-01-05 10:01Z';
    update analytics.silver_klines_1m set low = open + 1 where open_time = '2026-01-05 10:02Z';
    update analytics.silver_klines_1m set symbol = 'DOGEUSDT' where open_time = '2026-01-05 10:03Z';
    update analytics.silver_klines_1m set open_time = '2026-01-05 10:04:01Z' where open_time = '2026-01-05 10:04Z';
    update analytics.silver_klines_1m set close = null where open_time = '2026-01-05 10:05Z';
    update analytics.silver_klines_1m set taker_buy_volume = volume + 1 where open_time = '2026-01-05 10:06Z';
    update analytics.silver_klines_1m set trade_count = -1 where open_time = '2026-01-05 10:07Z';
"""


def test_every_rule_of_the_suite_can_fail_and_shows_the_row(batch: Batch) -> None:
    with batch.database.connect() as connection:
        connection.execute(BREAK_EVERYTHING)
    done = batch.gate(AS_OF="2026-01-05T10:23:59Z")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if "FAILED" in line]
    for expectation, row in {
        "expect_compound_columns_to_be_unique(symbol, open_time): 2 of 26 rows": "10:01:00",
        "expect_ohlc_in_order(): 1 rows": "10:02:00",
        "expect_symbol_known(): 1 rows": "symbol=DOGEUSDT open_time=2026-01-05T10:03:00",
        "expect_open_time_on_the_minute(): 1 rows": "10:04:01",
        "expect_column_values_to_not_be_null(close): 1 of 26 rows": "10:05:00",
        "expect_taker_volumes_within_totals(): 1 rows": "10:06:00",
        "expect_column_values_to_be_between(trade_count, min_value=0.0): 1 of 26 rows": "10:07:00",
        "expect_column_values_to_be_between(open_time": "10:24:00",
        "expect_column_values_to_be_of_type(quote_volume": "DOUBLE",
    }.items():
        assert any(expectation in line and row in line for line in failed), (expectation, failed)
    assert len(failed) == 9


def test_two_batches_never_overlap(batch: Batch) -> None:
    with batch.database.connect("reader") as other:
        other.execute("select pg_advisory_lock(hashtextextended('crypto_analytics.batch', 0))")
        done = batch.run("--steps", "dbt_silver")
    assert done.returncode == 3
    assert "another batch run is running" in done.stdout.splitlines()[-1]


def test_without_a_database_the_error_names_the_settings_to_check(batch: Batch) -> None:
    done = batch.run("--steps", "dbt_silver", POSTGRES_PORT="1")
    assert done.returncode == 1
    assert "check POSTGRES_*" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "update analytics.silver_klines_1m set volume = 0",
        "create table analytics.mine ()",
        "select from trade_id_ranges",
        "update quality_gate_runs set succeeded = true",
    ],
)
def test_the_gates_role_is_refused_other_statements(batch: Batch, statement: str) -> None:
    with batch.database.connect("gate") as gate, pytest.raises(psycopg.errors.InsufficientPrivilege):
        gate.execute(statement.encode())
