"""Measure klines?limit=1000 of the API at 1 and 50 clients, beside the same query by bare psycopg, and its memory."""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import psutil
import psycopg

from benchmarks.stack import ROOT, Stack
from crypto_analytics.api import candle_sql, intervals
from ops.common import loopback
from ops.common.loopback import LOOPBACK, free_port
from ops.local.programs import Program

SYMBOL = "BTCUSDT"
MINUTES = 100_000  # 69 days of candles
CONNECTIONS = 6  # the default of API_POSTGRES_CONNECTIONS
FILL = """
insert into fact_realtime_trades_1m (symbol, open_time, open, high, low, close, volume, quote_volume, trade_count,
    taker_buy_volume, taker_buy_quote_volume, first_trade_id, last_trade_id, is_complete)
select %s, date_trunc('minute', now(), 'UTC') - minute * interval '1 minute', 97000.12, 97010.5, 96990.01, 97001,
    1.23456789, 119754.321, 9, 0.6, 58200.6, (%s - minute) * 9, (%s - minute) * 9 + 8, true
from generate_series(1, %s) as minute
"""
Request = Callable[[], Awaitable[None]]


def run(stack: Stack, seconds: float) -> None:
    """Print requests per second, p50 and p99 of each, and the API's memory at rest and afterwards."""
    database, port = stack.new_database("bench_api"), free_port()
    with psycopg.connect(stack.postgres.conninfo(database), autocommit=True) as connection:
        connection.execute(FILL, [SYMBOL, MINUTES, MINUTES, MINUTES])
        connection.execute(
            "insert into symbols (symbol, status, followed_since) values (%s, 'followed', now())", [SYMBOL]
        )
        connection.execute("analyze")
    own = {"API_HOST": LOOPBACK, "API_PORT": str(port), "API_WEIGHT_PER_MINUTE": str(10**9)}
    env = stack.env(topic="bench.api", database=database, role="reader", **own)
    stack.supervisor.start(
        Program(
            "api",
            [sys.executable, "-m", "crypto_analytics.api"],
            env=env,
            folder=ROOT,
            ready=lambda: _is_ready(port),
        )
    )
    stack.supervisor.wait_ready("api")
    process = psutil.Process(stack.supervisor.pid("api"))
    at_rest = process.memory_info().rss / 2**20
    print("\n| klines?limit=1000 | clients | requests/s | p50, ms | p99, ms |\n|---|---:|---:|---:|---:|")
    conninfo = stack.postgres.conninfo(database)
    for clients in (1, 50):
        for name, measured in (("the API", _by_http(port, clients)), ("bare psycopg", _by_psycopg(conninfo, clients))):
            times = asyncio.run(_measured(measured, clients, seconds))
            milliseconds = sorted(1000 * one for one in times)
            p99 = milliseconds[int(len(milliseconds) * 0.99)]
            rate, p50 = len(times) / seconds, statistics.median(milliseconds)
            print(f"| {name} | {clients} | {rate:,.0f} | {p50:.1f} | {p99:.1f} |", flush=True)
    after = process.memory_info().rss / 2**20
    print(f"\nmemory of the API: {at_rest:.0f} MB at rest, {after:.0f} MB afterwards   (aim: at most 90 at rest)")
    stack.supervisor.stop("api")


def _is_ready(port: int) -> bool:
    try:
        with loopback.get(f"http://{LOOPBACK}:{port}/readyz", 5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _measured(connected: Callable[[], Awaitable[list[Request]]], clients: int, seconds: float) -> list[float]:
    """Return the duration of each request of ``clients`` that send one after the other for ``seconds``."""
    requests = await connected()
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def send(request: Request) -> None:
        while (started := time.perf_counter()) < end:
            await request()
            times.append(time.perf_counter() - started)

    await asyncio.gather(*(send(requests[number % len(requests)]) for number in range(clients)))
    return times


def _by_http(port: int, clients: int) -> Callable[[], Awaitable[list[Request]]]:
    """Return clients with a connection each."""
    message = f"GET /api/v3/klines?symbol={SYMBOL}&interval=1m&limit=1000 HTTP/1.1\r\nHost: api\r\n\r\n".encode()

    async def connect() -> Request:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)

        async def request() -> None:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200"), head
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)

        return request

    async def connected() -> list[Request]:
        return [await connect() for _ in range(clients)]

    return connected


def _by_psycopg(conninfo: str, clients: int) -> Callable[[], Awaitable[list[Request]]]:
    """Return clients that share as many connections as the API has at most."""
    calendar = intervals.Calendar(intervals.INTERVALS["1m"], 0)
    window = intervals.window(calendar, None, None)
    query = candle_sql.klines(calendar, newest_first=window.newest_first)
    parameters = candle_sql.parameters(calendar, SYMBOL, window, 1000) | {"unit": 1000}

    async def connect() -> Request:
        connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
        await connection.execute("set search_path = public, analytics")
        turn = asyncio.Lock()

        async def request() -> None:
            async with turn:
                assert await (await connection.execute(query, parameters)).fetchall()

        return request

    async def connected() -> list[Request]:
        return [await connect() for _ in range(min(clients, CONNECTIONS))]

    return connected
