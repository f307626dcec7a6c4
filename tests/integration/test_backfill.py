"""The backfill as a process between the simulator and a real PostgreSQL."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import Database, Servers, SimulatedExchange, service

TIMEOUT = 60
START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAY = {"SYMBOLS": "BTCUSDT,ETHUSDT", "SIM_HISTORY_MINUTES": "1500", "SIM_TRADES_PER_MINUTE": "6"}
COLUMNS = "open, high, low, close, volume, quote_volume, taker_buy_volume, taker_buy_quote_volume"
_numbers = count(1)

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(servers: Servers, postgres: Database) -> Run:
    """Return a function that runs the backfill against an exchange and returns its exit code and last log line."""

    def once(exchange: SimulatedExchange, **changes: str) -> tuple[int, dict[str, Any]]:
        name = f"backfill-{next(_numbers)}"
        env = {**postgres.env("writer"), **exchange.env(), "SYMBOLS": "BTCUSDT,ETHUSDT", "BACKFILL_DAYS": "1",
               "AS_OF": START.isoformat(), **changes}  # fmt: skip
        code = servers.supervisor.run(replace(service(name, "backfill", env), restart=False), TIMEOUT)
        return code, json.loads(servers.supervisor.log_of(name).read_text().strip().splitlines()[-1])

    return once


def official(exchange: SimulatedExchange, symbol: str, first: datetime, last: datetime) -> list[list[Any]]:
    """Return the exchange's klines from ``first`` to ``last``, requested in pages."""
    rows: list[list[Any]] = []
    start, end = (int(moment.timestamp() * 1000) for moment in (first, last))
    while start <= end:
        url = (
            f"{exchange.rest_url}/api/v3/klines?symbol={symbol}&interval=1m&startTime={start}&endTime={end}&limit=1000"
        )
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = json.load(answer)
        if not page:
            break
        rows += page
        start = page[-1][0] + 60_000
    return rows


def table(connection: psycopg.Connection, symbol: str) -> dict[datetime, tuple[Any, ...]]:
    rows = connection.execute(
        f"select open_time, {COLUMNS}, close_time, trade_count, ignore from raw_klines where symbol = %s", (symbol,)
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def as_table(rows: list[list[Any]]) -> dict[datetime, tuple[Any, ...]]:
    return {
        datetime.fromtimestamp(row[0] // 1000, UTC): (
            *(Decimal(row[column]) for column in (1, 2, 3, 4, 5, 7, 9, 10)),
            datetime.fromtimestamp(row[6] // 1000, UTC) + timedelta(milliseconds=row[6] % 1000),
            row[8],
            row[11],
        )
        for row in rows
    }


def changes(connection: psycopg.Connection) -> dict[tuple[str, datetime], datetime]:
    rows = connection.execute("select symbol, open_time, updated_at from raw_klines").fetchall()
    return {(symbol, open_time): updated for symbol, open_time, updated in rows}


def test_the_table_holds_exactly_the_closed_klines_and_a_second_run_reads_the_newest_alone(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    exchange = simulator(**PLAY)
    code, last = run(exchange)
    assert (code, last["event"]) == (0, "backfill_finished")
    assert (last["klines_fetched"], last["klines_written"], last["minutes_without_kline"]) == (2880, 2880, 0)
    assert last["requests"] == 4
    with postgres.connect("reader") as connection:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            expected = as_table(official(exchange, symbol, START - timedelta(days=1), START - MINUTE))
            assert len(expected) == 1440
            assert table(connection, symbol) == expected
        before = changes(connection)
        code, last = run(exchange)
        assert (code, last["klines_fetched"], last["klines_written"], last["requests"]) == (0, 20, 0, 2)
        assert changes(connection) == before


def test_the_symbols_of_a_run_are_followed_and_all_others_retired_whatever_the_exchange_says(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    exchange = simulator(**PLAY | {"SIM_HISTORY_MINUTES": "30"})

    def statuses() -> dict[str, str]:
        with postgres.connect("reader") as connection:
            return dict(connection.execute("select symbol, status from symbols").fetchall())

    assert run(exchange)[0] == 0
    assert statuses() == {"BTCUSDT": "followed", "ETHUSDT": "followed"}
    assert run(exchange, SYMBOLS="ETHUSDT,NOSUCHUSDT")[0] == 1  # the exchange has no NOSUCHUSDT
    assert statuses() == {"BTCUSDT": "retired", "ETHUSDT": "followed", "NOSUCHUSDT": "followed"}


def test_gaps_are_fetched_again_and_wrong_rows_between_them_corrected(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    exchange = simulator(**PLAY)
    run(exchange)
    with postgres.connect() as connection:
        whole = table(connection, "BTCUSDT")
        before = changes(connection)
        gap = [START - 700 * MINUTE, START - 650 * MINUTE]
        wrong = START - 680 * MINUTE
        connection.execute("delete from raw_klines where symbol = 'BTCUSDT' and open_time = any(%s)", (gap,))
        connection.execute(
            "update raw_klines set close = close + 1 where symbol = 'BTCUSDT' and open_time = %s", (wrong,)
        )
        code, last = run(exchange)
        assert code == 0
        assert (last["requests"], last["klines_fetched"], last["klines_written"]) == (2, 700 + 10, 3)
        assert table(connection, "BTCUSDT") == whole
        moved = {key for key, when in changes(connection).items() if before[key] != when}
        assert moved == {("BTCUSDT", moment) for moment in (*gap, wrong)}


def test_what_the_exchange_never_had_costs_one_request_a_run(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    exchange = simulator(**PLAY | {"SIM_HISTORY_MINUTES": "90"})
    code, last = run(exchange, SYMBOLS="BTCUSDT")
    assert (code, last["klines_written"], last["requests"]) == (0, 90, 1)
    assert last["minutes_without_kline"] == 1440 - 90
    code, last = run(exchange, SYMBOLS="BTCUSDT")
    assert (code, last["klines_written"], last["requests"]) == (0, 0, 1)


def test_recorded_klines_arrive_digit_by_digit(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange], recorded_data: Path
) -> None:
    klines = recorded_data / "BTCUSDT-1m-2020-05-06.csv"
    exchange = simulator(SIM_FILE=str(recorded_data / "BTCUSDT-aggTrades-2020-05-06.csv"), SIM_KLINES_FILE=str(klines))
    as_of = datetime(2020, 5, 6, 5, 42, tzinfo=UTC)
    code, last = run(exchange, SYMBOLS="BTCUSDT", AS_OF=as_of.isoformat())
    assert code == 0, last
    rows = [line.split(",") for line in klines.read_text().splitlines()]
    expected = as_table([[int(x) if i in (0, 6, 8) else x for i, x in enumerate(row)] for row in rows])
    with postgres.connect("reader") as connection:
        stored = table(connection, "BTCUSDT")
    assert {moment: stored[moment] for moment in expected} == expected


def test_a_symbol_that_the_exchange_refuses_fails_the_run_but_not_the_others(
    run: Run, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    exchange = simulator(**PLAY)
    code, last = run(exchange, SYMBOLS="NOSUCHPAIR,BTCUSDT")
    assert (code, last["event"], last["refused"]) == (1, "backfill_failed", ["NOSUCHPAIR"])
    with postgres.connect("reader") as connection:
        assert len(table(connection, "BTCUSDT")) == 1440


@pytest.mark.parametrize(("status", "advice"), [(451, "BINANCE_REST_URL=https://data-api"), (500, "try again later")])
def test_an_exchange_that_does_not_answer_fails_the_run_with_the_fix(
    run: Run, simulator: Callable[..., SimulatedExchange], status: int, advice: str
) -> None:
    fault = json.dumps([{"type": "rest", "status": status, "count": 100}])
    code, last = run(simulator(**PLAY, SIM_FAULTS=fault))
    assert (code, last["event"]) == (1, "backfill_failed")
    assert advice in last["error"]


def test_rate_limits_are_waited_out(run: Run, simulator: Callable[..., SimulatedExchange]) -> None:
    fault = json.dumps([{"type": "rest", "status": 429, "count": 2, "retry_after": 1}])
    code, last = run(simulator(**PLAY, SIM_FAULTS=fault))
    assert (code, last["klines_written"]) == (0, 2880)


def test_a_signal_ends_it_soon_even_while_a_ban_is_waited_out(
    servers: Servers, postgres: Database, simulator: Callable[..., SimulatedExchange]
) -> None:
    fault = json.dumps([{"type": "rest", "status": 418, "count": 1, "retry_after": 3600}])
    exchange = simulator(**PLAY, SIM_FAULTS=fault)
    env = {**postgres.env("writer"), **exchange.env(), "SYMBOLS": "BTCUSDT", "AS_OF": START.isoformat()}
    servers.supervisor.start(replace(service("backfill-banned", "backfill", env), restart=False))
    log = servers.supervisor.log_of("backfill-banned")
    servers.supervisor.wait_until(lambda: "rest_banned" in log.read_text(), TIMEOUT, "the ban is not logged")
    servers.supervisor.stop("backfill-banned")
    last = json.loads(log.read_text().strip().splitlines()[-1])
    assert last["event"] == "backfill_interrupted"
