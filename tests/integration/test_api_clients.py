"""Clients of the exchange, unchanged but for their hosts, read from the API what the tables hold, to the digit."""

import asyncio
import json
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from ops.common import child_environment, loopback
from ops.common.loopback import LOOPBACK, free_port
from ops.setup.environments import python_of
from tests.servers import ROOT, Broker, Database, Servers, service
from tests.stores import merge_batch
from tests.unit.trade_json import trade_json

pytestmark = pytest.mark.timeout(180)

SYMBOL = "BTCUSDT"
MINUTES = 20
A_MINUTE = 12  # trades
PAUSE = 0.2  # seconds between live trades
CANDLES = """
select open_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume
from fact_realtime_trades_1m where symbol = %s order by open_time
"""


class Market:
    """Trades of the last minutes, merged and archived, and live ones while a client follows the streams."""

    def __init__(self, database: Database, broker: Broker, folder: Path) -> None:
        self.trades: dict[int, dict[str, Any]] = {}
        self._writer = database.connect("writer")
        self._reader = database.connect("reader")
        self._archive = RawArchive(DirectoryStore(folder), "raw")
        self._broker = broker
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        start = int(time.time() * 1000) - MINUTES * 60_000
        step = 60_000 // A_MINUTE
        self._merge([self._made(start + number * step) for number in range(MINUTES * A_MINUTE)])

    def _made(self, milliseconds: int) -> bytes:
        number = len(self.trades) + 1
        value = trade_json(
            number,
            price=f"{97_000 + number * 7 % 97}.{number % 100:02}000000",
            quantity=f"0.{number:05}123",
            time=milliseconds * 1000 + number % 1000,  # as the producer receives it
            maker=number % 3 == 0,
        )
        made = json.loads(value)
        self.trades[number] = made | {name: made[name] // 1000 for name in ("E", "T")}
        return value

    def _merge(self, values: list[bytes]) -> None:
        batch = decode_batch(values, Rules(frozenset({SYMBOL}), 2**60)).by_symbol()
        merge_batch(self._writer, self._archive, batch)

    def add_live(self) -> None:
        """Produce and merge a trade of now, as producer and consumer do."""
        value = self._made(int(time.time() * 1000))
        self._producer.produce(self._broker.topic_trades, value, key=SYMBOL)
        self._producer.flush(10)
        self._merge([value])

    def candles(self) -> list[tuple[Any, ...]]:
        """Return the rows of the table."""
        return self._reader.execute(CANDLES, [SYMBOL]).fetchall()

    def close(self) -> None:
        self._writer.close()
        self._reader.close()


@pytest.fixture(scope="module")
def market(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Market, str]]:
    """Yield the market, and host and port of an API that reads it."""
    folder = tmp_path_factory.mktemp("objects")
    with servers.database() as database:
        broker, port = servers.broker(), free_port()
        market = Market(database, broker, folder)
        env = {
            **database.env("reader"),
            **broker.env(),
            "OBJECT_STORE": "directory",
            "OBJECT_STORE_DIR": str(folder),
            "API_HOST": LOOPBACK,
            "API_PORT": str(port),
            "API_WEIGHT_PER_MINUTE": "1000000",
        }
        with servers.running(service("api-for-clients", "api", env), lambda: is_ready(port)):
            yield market, f"{LOOPBACK}:{port}"
        market.close()


def is_ready(port: int) -> bool:
    try:
        with loopback.get(f"http://{LOOPBACK}:{port}/readyz", 5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def tls_proxy(address: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield host and port of a proxy that ends TLS before ``address``, and the certificate to trust."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=IP:{LOOPBACK}", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    host, _, port = address.partition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, LOOPBACK, 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}", certificate
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run(client: str, address: str, certificate: Path | None = None) -> dict[str, list[Any]]:
    """Run a client and return what it read, by kind."""
    trusted = {"SSL_CERT_FILE": str(certificate), "REQUESTS_CA_BUNDLE": str(certificate)} if certificate else {}
    done = subprocess.run(
        [str(python_of("clients")), str(ROOT / "tests" / "stock_clients.py"), client, address],
        env=child_environment.plain(os.environ) | trusted,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[Any]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            for kind, value in json.loads(line).items():
                found.setdefault(kind, []).append(value)
    return found


def run_live(client: str, market: Market, address: str, certificate: Path | None = None) -> dict[str, list[Any]]:
    """Run a client while trades arrive."""
    ended = threading.Event()

    def add() -> None:
        while not ended.wait(PAUSE):
            market.add_live()

    feeder = threading.Thread(target=add)
    feeder.start()
    try:
        return run(client, address, certificate)
    finally:
        ended.set()
        feeder.join()


def text(value: Decimal) -> str:
    """Return a number of the exchange's answers, cut off after 8 decimals."""
    return f"{Decimal(int(value.scaleb(8))).scaleb(-8):.8f}"


def twelve_columns(row: tuple[Any, ...]) -> list[Any]:
    open_time, *prices, volume, quote, count, taker, taker_quote = row
    start = int(open_time.timestamp() * 1000)
    own = [start, *map(text, (*prices, volume)), start + 59_999, text(quote), count, text(taker), text(taker_quote)]
    return [*own, "0"]


def as_text(rows: list[list[Any]]) -> list[list[str]]:
    return [[str(value) for value in row] for row in rows]


def check_trades(market: Market, rows: list[dict[str, Any]]) -> None:
    """Compare rows of /aggTrades with the trades."""
    newest = sorted(market.trades)[-1000:]
    assert [int(row["a"]) for row in rows] == newest
    for row in rows:
        made = market.trades[int(row["a"])]
        assert (row["p"], row["q"], int(row["T"]), row["m"]) == (made["p"], made["q"], made["T"], made["m"])


def check_kline(market: Market, kline: dict[str, Any]) -> None:
    """Compare a pushed kline with the trades that it says it has."""
    ids = range(int(kline["f"]), int(kline["L"]) + 1)
    trades = [market.trades[number] for number in ids]
    prices = [Decimal(trade["p"]) for trade in trades]
    expected = (text(prices[0]), text(max(prices)), text(min(prices)), text(prices[-1]))
    assert (kline["o"], kline["h"], kline["l"], kline["c"]) == expected
    assert kline["v"] == text(sum((Decimal(trade["q"]) for trade in trades), Decimal(0)))
    assert int(kline["n"]) == len(trades)


def test_ccxt_reads_klines_and_trades(market: tuple[Market, str]) -> None:
    data, address = market
    found = run("ccxt", address)
    expected = [twelve_columns(row) for row in data.candles()]
    assert as_text(found["klines"][0]) == as_text(expected)
    check_trades(data, found["trades"][0])
    first = [datetime.fromtimestamp(row[0] / 1000, UTC).minute % 5 for row in found["ohlcv"][0]]
    assert set(first) == {0}
    assert sum(Decimal(str(row[5])) for row in found["ohlcv"][0]) == pytest.approx(
        sum(row[5] for row in data.candles())
    )
    assert Decimal(found["ticker"][0]["lastPrice"]) == data.candles()[-1][4]


def test_python_binance_reads_klines_and_trades(market: tuple[Market, str]) -> None:
    data, address = market
    found = run("python-binance", address)
    assert found["klines"][0] == [twelve_columns(row) for row in data.candles()]
    check_trades(data, found["trades"][0])
    assert [row["id"] for row in found["recent"][0]] == sorted(data.trades)[-1000:]
    assert Decimal(found["ticker"][0]["lastPrice"]) == data.candles()[-1][4]


def test_ccxt_pro_follows_candles_and_trades(market: tuple[Market, str]) -> None:
    data, address = market
    found = run_live("ccxt.pro", data, address)
    for trade in found["trade"]:
        made = data.trades[int(trade["t"])]
        assert (trade["p"], trade["q"], trade["T"]) == (made["p"], made["q"], made["T"])
    rows = {int(row[0].timestamp() * 1000): row for row in data.candles()}
    for candle in found["candle"]:
        low, high = rows[candle[0]][3], rows[candle[0]][2]
        assert low <= Decimal(str(candle[3])) <= Decimal(str(candle[2])) <= high
        assert 0 < Decimal(str(candle[5])) <= rows[candle[0]][5]


def test_python_binance_follows_klines_and_trades(market: tuple[Market, str]) -> None:
    data, address = market
    found = run_live("python-binance-live", data, address)
    for event in found["kline"]:
        check_kline(data, event["k"])
    for trade in found["trade"]:
        assert trade == data.trades[int(trade["t"])]


def test_cryptofeed_follows_candles_and_trades(market: tuple[Market, str], tmp_path: Path) -> None:
    data, address = market
    with tls_proxy(address, tmp_path) as (proxy, certificate):
        found = run_live("cryptofeed", data, proxy, certificate)
    for event in found["candle"]:
        check_kline(data, event["k"])
    for trade in found["trade"]:
        made = data.trades[int(trade["a"])]
        assert (trade["p"], trade["q"], trade["T"], trade["m"]) == (made["p"], made["q"], made["T"], made["m"])
