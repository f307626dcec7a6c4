"""Measure the time from the commit that changed a candle to the sockets of 1 and of 1,000 clients of the API.

The clients are processes of their own with bare sockets, which find the id of the last trade in each kline. The limit
is ``websockets.broadcast`` to as many of the same clients, of one kline that is sent as often.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing.connection import Connection

import httpx
import psycopg
from websockets.asyncio.server import broadcast, serve

from benchmarks.stack import ROOT, Stack
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.merge import BatchMerge
from crypto_analytics.store.objects import DirectoryStore
from ops.common.loopback import LOOPBACK, free_port
from ops.local.programs import Program

CLIENTS = (1, 1_000)
PATH = "/ws/btcusdt@kline_1m"
_EVERY_SECONDS = 0.25
_ONE = 10**8
_START = 1_767_571_200_000_000
_WAIT_SECONDS = 60.0
_LAST_ID = b'"L":'


class Reader(asyncio.Protocol):
    """A client that notes when the kline with each last trade id arrives. Frames are not parsed further."""

    def __init__(self, arrivals: dict[int, list[float]]) -> None:
        self._arrivals = arrivals
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the WebSocket."""
        key = b64encode(os.urandom(16)).decode()
        lines = (f"GET {PATH} HTTP/1.1", f"Host: {LOOPBACK}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", "")  # fmt: skip
        transport.write("\r\n".join(lines).encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Note the arrival of each kline."""
        now = time.time()
        data = self._rest + data
        position = data.find(_LAST_ID)
        while position >= 0:
            number, comma, _ = data[position + len(_LAST_ID) : position + 40].partition(b",")
            if not comma:
                break
            self._arrivals.setdefault(int(number), []).append(now)
            position = data.find(_LAST_ID, position + 1)
        self._rest = data[position:] if position >= 0 else data[1 - len(_LAST_ID) :]


def read(port: int, count: int, pipe: Connection) -> None:
    """Run ``count`` clients; send True when they are connected and, when asked, the arrivals."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        arrivals: dict[int, list[float]] = {}
        for _ in range(count):
            await loop.create_connection(lambda: Reader(arrivals), LOOPBACK, port)
        pipe.send(True)
        await asyncio.to_thread(pipe.recv)
        pipe.send(arrivals)

    asyncio.run(run())


@dataclass
class Readers:
    """The process of the clients."""

    port: int
    count: int

    def __enter__(self) -> "Readers":
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=read, args=(self.port, self.count, theirs))
        self._process.start()
        self._pipe.recv()
        return self

    def arrivals(self) -> dict[int, list[float]]:
        """Return the times of arrival by last trade id, and end the clients."""
        self._pipe.send(None)
        arrivals: dict[int, list[float]] = self._pipe.recv()
        return arrivals

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()


def delays(sent: dict[int, float], arrivals: dict[int, list[float]], count: int) -> list[float]:
    """Return the delay of each change at each client. Changes that follow too closely arrive as one, the newer one.

    Raises:
        RuntimeError: a client did not receive the last change.
    """
    measured: list[float] = []
    newer: list[float] = []
    for number, moment in sorted(sent.items(), reverse=True):
        newer = arrivals.get(number, newer)
        if len(newer) < count:
            raise RuntimeError(f"change {number} reached {len(newer)} of {count} clients")
        measured += [arrived - moment for arrived in newer[:count]]
    return sorted(measured)


def push(stack: Stack, count: int, seconds: float) -> list[float]:
    """Return the delays from each commit to each of ``count`` clients of the API."""
    database, port = stack.new_database(f"push_{count}"), free_port()
    env = stack.env(topic="none", database=database, role="reader", API_PORT=str(port), KAFKA_BOOTSTRAP_SERVERS="")
    stack.supervisor.start(Program("api", [sys.executable, "-m", "crypto_analytics.api"], env=env, folder=ROOT))
    stack.supervisor.wait_until(lambda: answers(port), _WAIT_SECONDS, f"no API: {stack.supervisor.log_of('api')}")
    archive = RawArchive(DirectoryStore(stack.folder / "objects" / database), "raw")
    sent: dict[int, float] = {}
    with psycopg.connect(stack.postgres.conninfo(database), autocommit=True) as connection:

        def merge(number: int) -> None:
            time_of_trade = _START + number * 1_000_000
            trade = Trade(number, number, 100 * _ONE, _ONE, time_of_trade, False, json.dumps({"t": number}).encode())
            BatchMerge(archive, {"BTCUSDT": TradeColumns.of([trade])}).run(connection)
            sent[number] = time.time()

        merge(0)
        with Readers(port, count) as readers:
            stack.supervisor.wait_until(lambda: connected(port) == count, _WAIT_SECONDS, "clients are missing")
            repeat(merge, seconds)
            time.sleep(1)
            arrivals = readers.arrivals()
    stack.supervisor.stop("api")
    del sent[0]
    return delays(sent, arrivals, count)


def answers(port: int) -> bool:
    """Return whether the API is ready."""
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/readyz").status_code == HTTPStatus.OK
    except httpx.HTTPError:
        return False


def connected(port: int) -> int:
    """Return the number of the API's WebSocket clients."""
    name = 'push_clients{transport="websocket"} '
    lines = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=_WAIT_SECONDS).text.splitlines()
    return next((int(float(line.removeprefix(name))) for line in lines if line.startswith(name)), 0)


def repeat(change: Callable[[int], None], seconds: float) -> None:
    """Call ``change`` with 1, 2, 3 … at even intervals."""
    started = time.monotonic()
    for number in range(1, int(seconds / _EVERY_SECONDS) + 1):
        time.sleep(max(0.0, started + number * _EVERY_SECONDS - time.monotonic()))
        change(number)


def bare(count: int, seconds: float) -> list[float]:
    """Return the delays of ``websockets.broadcast`` of a kline to ``count`` clients: what the library can do."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.push", str(port), str(count), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        with Readers(port, count) as readers:
            sent = {int(number): moment for number, moment in json.loads(server.stdout.readline()).items()}
            time.sleep(1)
            arrivals = readers.arrivals()
        server.kill()
    return delays(sent, arrivals, count)


async def broadcast_klines(port: int, count: int, seconds: float) -> None:
    """Serve, wait for ``count`` clients, send klines to them, and print when each was sent."""
    sockets = set()
    sent: dict[int, float] = {}
    ended = asyncio.Event()

    async def handle(socket: object) -> None:
        sockets.add(socket)
        await ended.wait()

    async with serve(handle, LOOPBACK, port, compression=None):  # type: ignore[arg-type]
        print("listening", flush=True)
        while len(sockets) < count:
            await asyncio.sleep(0.01)
        for number in range(1, int(seconds / _EVERY_SECONDS) + 1):
            await asyncio.sleep(_EVERY_SECONDS)
            sent[number] = time.time()
            broadcast(sockets, f'{{"e":"kline","k":{{"t":0,"f":0,"L":{number},"pad":"{"x" * 250}"}}}}')  # type: ignore[arg-type]
        print(json.dumps(sent), flush=True)
        await ended.wait()


def run(stack: Stack, seconds: float) -> None:
    """Print the table."""
    print("\n| push, commit to the client's socket | clients | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|---:|")
    for count in CLIENTS:
        for name, measured in (("API", push(stack, count, seconds)), ("bare broadcast", bare(count, seconds))):
            p50, p99, worst = (measured[min(len(measured) - 1, int(len(measured) * share))] for share in (0.5, 0.99, 1))
            print(f"| {name} | {count:,} | {p50 * 1000:.1f} | {p99 * 1000:.1f} | {worst * 1000:.1f} |", flush=True)
    print("aim: p99 of the API at most 100 ms with 1,000 clients", flush=True)


if __name__ == "__main__":
    asyncio.run(broadcast_klines(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
