"""The pushed data of the API as a process: exact, the same queries for any number of clients, and robust."""

import json
import os
import signal
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka import Producer
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import RawArchive
from ops.common.loopback import LOOPBACK, free_port
from tests.batch_run import put_official
from tests.live_clients import LiveClient, live_clients
from tests.servers import Broker, Database, Servers, service
from tests.stores import MemoryStore, merge_batch

ONE = 10**8
START = 1_767_571_200_000_000  # a full hour
PER_MINUTE = 100


def trades(first: int, last: int) -> TradeColumns:
    """Return trades with the ids ``first`` to ``last``, a hundred to a minute, at growing prices."""
    return TradeColumns.of(
        Trade(i, i, (1000 + i) * ONE, ONE // 3, START + i * 60_000_000 // PER_MINUTE, i % 2 == 0, b'{"t":%d}' % i)
        for i in range(first, last + 1)
    )


def trade_value(number: int, per_second: int = 1_000_000) -> bytes:
    """Return a trade as the producer receives it, in microseconds, or with times in another unit."""
    time = (START + number * 60_000_000 // PER_MINUTE + 789) * per_second // 1_000_000
    return (
        f'{{"e":"trade","E":{time},"s":"BTCUSDT","t":{number},"p":"{1000 + number}.00000000","q":"0.33333333",'
        f'"T":{time},"m":{"true" if number % 2 == 0 else "false"},"M":true}}'
    ).encode()


def metric(port: int, name: str) -> float:
    lines = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=60).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition(" ")[0].partition("{")[0] == name)


@contextmanager
def running_api(
    servers: Servers, database: Database, objects: Path, kafka: Broker | None = None, **settings: str
) -> Iterator[int]:
    """Run the API and yield its port."""
    port = free_port()
    env = {"API_PORT": str(port), "OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(objects)} | settings
    if kafka is not None:
        env |= kafka.env()
    servers.supervisor.start(service("api", "api", database.env("reader") | env))

    def is_listening() -> bool:
        try:
            return metric(port, "push_listens") == 1
        except httpx.HTTPError:
            return False

    try:
        servers.supervisor.wait_until(is_listening, 60, f"no API: {servers.supervisor.log_of('api')}")
        yield port
    finally:
        print(servers.supervisor.log_of("api").read_text()[-1500:])
        servers.supervisor.stop("api")


def stored_klines(connection: psycopg.Connection) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Return the table's klines of a minute and of an hour, by interval and open time (milliseconds)."""
    klines = {}
    for name, unit in (("1m", "minute"), ("1h", "hour")):
        rows = connection.execute(
            """
            select (extract(epoch from date_trunc(%s, open_time)) * 1000)::bigint as opened,
                (array_agg(open order by open_time))[1], max(high), min(low),
                (array_agg(close order by open_time desc))[1], sum(volume), trunc(sum(quote_volume), 8),
                sum(trade_count), sum(taker_buy_volume), trunc(sum(taker_buy_quote_volume), 8),
                min(first_trade_id), max(last_trade_id)
            from fact_realtime_trades_1m group by opened
            """,
            [unit],
        )
        klines |= {(name, opened): tuple(values) for opened, *values in rows}
    return klines


def values_of(kline: dict[str, Any]) -> tuple[Any, ...]:
    return (*(Decimal(kline[key]) for key in "ohlcvq"), kline["n"], Decimal(kline["V"]), Decimal(kline["Q"]),
            kline["f"], kline["L"])  # fmt: skip


def test_klines_equal_the_table_and_queries_do_not_grow_with_clients(
    servers: Servers, postgres: Database, tmp_path: Path
) -> None:
    archive = RawArchive(MemoryStore(), "raw")
    queries = []
    # The candles are of now, and not of a past that is read from the database.
    now = datetime.fromtimestamp(START / 10**6, UTC).isoformat()
    with postgres.connect("writer") as writer, running_api(servers, postgres, tmp_path, AS_OF=now) as port:
        merge_batch(writer, archive, {"BTCUSDT": trades(1, 50)})
        number = 51
        for count in (1, 100):
            with live_clients(port, "btcusdt@kline_1m/btcusdt@kline_1h", count) as clients:
                servers.supervisor.wait_until(lambda: all(client.klines for client in clients), 30, "no first kline")
                before = metric(port, "push_queries_total")
                for _ in range(20):
                    merge_batch(writer, archive, {"BTCUSDT": trades(number, number + 9)})
                    number += 10
                    wanted = stored_klines(writer)
                    newest = max(wanted)

                    def have_all() -> bool:
                        return all(
                            key in client.klines and values_of(client.klines[key]) == value
                            for client in clients
                            for key, value in wanted.items()  # noqa: B023
                            if key >= newest or key[0] == "1h"  # noqa: B023
                        )

                    servers.supervisor.wait_until(have_all, 10, "a client lacks a change", every=0.005)
                queries.append(metric(port, "push_queries_total") - before)
            assert not any(client.backwards for client in clients)
        closed = [kline["x"] for key, kline in sorted(clients[0].klines.items()) if key[0] == "1m"]
        assert closed[:-1] == [True] * (len(closed) - 1)
    # 20 merges; besides the queries of the minutes' ends and of the slow poll, whose number depends on the time.
    assert all(20 <= number <= 40 for number in queries), queries


def test_a_past_candle_is_pushed_as_rest_shows_it(servers: Servers, postgres: Database, tmp_path: Path) -> None:
    archive = RawArchive(MemoryStore(), "raw")
    opened = datetime.fromtimestamp(START / 10**6, UTC)
    official = {
        "symbol": "BTCUSDT", "open_time": opened, "open": 5, "high": 9, "low": 4, "close": 8, "volume": 7,
        "quote_volume": 40, "trade_count": 99, "taker_buy_volume": 3, "taker_buy_quote_volume": 20,
    }  # fmt: skip

    def rest(port: int, path: str, interval: str) -> Any:
        parameters: dict[str, str | int] = {"symbol": "BTCUSDT", "interval": interval, "limit": 1, "startTime": 0}
        [found] = httpx.get(f"http://{LOOPBACK}:{port}{path}", params=parameters, timeout=30).json()
        return found

    with (
        postgres.connect("writer") as writer,
        running_api(servers, postgres, tmp_path, SYMBOLS="BTCUSDT") as port,
        live_clients(port, "btcusdt@kline_1m/btcusdt@kline_3m", 1) as [client],
        httpx.stream("GET", f"http://{LOOPBACK}:{port}/v1/live?symbol=BTCUSDT", timeout=30) as response,
    ):
        merge_batch(writer, archive, {"BTCUSDT": trades(1, 40)})
        merge_batch(writer, archive, {"BTCUSDT": trades(42, 350)})
        for interval, count in (("1m", 98), ("3m", 298)):  # the late trade is missing
            servers.supervisor.wait_until(
                lambda: client.klines.get((interval, START // 1000), {"n": 0})["n"] == count,  # noqa: B023
                30,
                f"no kline of {interval}",
            )
        put_official(writer, official)
        merge_batch(writer, archive, {"BTCUSDT": trades(41, 41)})  # changes a candle whose official kline is known
        for interval in ("1m", "3m"):
            row = rest(port, "/api/v3/klines", interval)

            def is_pushed() -> bool:
                kline = client.klines[interval, START // 1000]  # noqa: B023
                pushed = [kline["t"], *(kline[key] for key in "ohlcv"), kline["T"], kline["q"], kline["n"], kline["V"]]
                return [*pushed, kline["Q"], "0"] == row and kline["x"]  # noqa: B023

            servers.supervisor.wait_until(is_pushed, 30, f"the pushed {interval} is not the one of REST")
        assert client.klines["1m", START // 1000]["n"] == 99
        candle = rest(port, "/v1/candles", "1m")
        assert candle["source"] == "official"
        events = (line for line in response.iter_lines() if line.startswith("data: "))
        assert any(json.loads(line.removeprefix("data: ")) == candle for line in islice(events, 12))


def test_an_open_candle_has_the_official_klines_of_its_minutes(
    servers: Servers, postgres: Database, tmp_path: Path
) -> None:
    archive, number = RawArchive(MemoryStore(), "raw"), 15 * PER_MINUTE
    opened = datetime.fromtimestamp(START / 10**6, UTC)

    def official(minute: int, price: int) -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT", "open_time": opened + timedelta(minutes=minute), "open": price, "high": price + 2,
            "low": price - 1, "close": price + 1, "volume": 7, "quote_volume": 40, "trade_count": 9,
            "taker_buy_volume": 3, "taker_buy_quote_volume": 20,
        }  # fmt: skip

    now = (opened + timedelta(minutes=30)).isoformat()
    with (
        postgres.connect("writer") as writer,
        running_api(servers, postgres, tmp_path, SYMBOLS="BTCUSDT", AS_OF=now) as port,
        live_clients(port, "btcusdt@kline_1h/btcusdt@kline_4h", 1) as [client],
        connect(f"ws://{LOOPBACK}:{port}/ws/btcusdt@miniTicker") as tickers,
    ):

        def rest(path: str, **parameters: str | int) -> Any:
            wanted = {"symbol": "BTCUSDT"} | parameters
            return httpx.get(f"http://{LOOPBACK}:{port}/api/v3/{path}", params=wanted, timeout=30).json()

        def is_pushed() -> bool:
            """Change a candle, and compare what is pushed with REST."""
            nonlocal number
            number += 1
            merge_batch(writer, archive, {"BTCUSDT": trades(number, number)})
            ticker, day = json.loads(tickers.recv(timeout=10)), rest("ticker/24hr")
            names = {"o": "openPrice", "h": "highPrice", "l": "lowPrice", "c": "lastPrice", "v": "volume"}
            pushed = [{name: ticker[name] for name in names} == {name: day[rest] for name, rest in names.items()}]
            for interval in ("1h", "4h"):
                [row] = rest("klines", interval=interval, limit=1)
                kline = client.klines.get((interval, row[0]), {"k": None})
                pushed.append([kline.get(key) for key in "tohlcvTqnVQ"] == row[:-1])
            return all(pushed)

        put_official(writer, *(official(minute, 500 + minute) for minute in range(10)))  # before the platform's start
        servers.supervisor.wait_until(is_pushed, 30, "the pushed candle is not the one of REST", every=0.2)
        put_official(writer, official(15, 9_000), official(3, 10))  # one of the minute that changes all the time
        assert not is_pushed()  # the pushed one has no news of it yet
        servers.supervisor.wait_until(is_pushed, 30, "the official klines are not in the pushed candle", every=0.2)


@pytest.mark.timeout(300)
def test_clients_come_back_after_kills_and_end_with_the_tables_values(private_servers: Servers, tmp_path: Path) -> None:
    servers, supervisor = private_servers, private_servers.supervisor
    kafka, total = servers.broker(), 1_500
    with servers.database() as postgres, running_api(servers, postgres, tmp_path, kafka) as port:
        env = {**kafka.env(), **postgres.env("writer"), "OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(tmp_path),
               "SYMBOLS": "BTCUSDT", "KAFKA_CONSUMER_GROUP": kafka.topic_trades,
               "KAFKA_GROUP_INSTANCE_ID": "consumer-0"}  # fmt: skip
        supervisor.start(service("consumer", "consumer", env))
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        sent = 0

        def send(count: int) -> None:
            nonlocal sent
            for number in range(sent, sent + count):
                producer.produce(kafka.topic_trades, trade_value(number), "BTCUSDT")
            sent += count
            assert producer.flush(30) == 0

        def newest(client: LiveClient) -> int:
            return max((kline["L"] for kline in client.klines.values()), default=-1)

        with live_clients(port, "btcusdt@kline_1m/btcusdt@kline_1h", 200) as clients:
            send(50)
            supervisor.wait_until(lambda: all(newest(client) == 49 for client in clients), 60, "no first kline")
            for victim in ("postgres", "api", "consumer", "postgres", "api"):
                send(100)
                os.kill(supervisor.pid(victim), signal.SIGKILL)
                send(100)
                supervisor.wait_until(
                    lambda: all(newest(client) == sent - 1 for client in clients), 90, f"no news after {victim}"
                )
            send(total - sent)
            supervisor.wait_until(lambda: all(newest(client) == total - 1 for client in clients), 60, "no last kline")
            with postgres.connect("reader") as connection:
                table = stored_klines(connection)
            hour = ("1h", START // 1000)
            for client in clients:
                assert client.connections >= 3  # the API was killed twice
                assert client.backwards == []
                newest_minutes = sorted(key for key in client.klines if key[0] == "1m")[-2:]
                for key in (hour, *newest_minutes):
                    assert values_of(client.klines[key]) == table[key]
            assert table[hour][6] == total
        supervisor.stop("consumer")


def test_trades_come_with_times_in_the_unit_of_the_client(servers: Servers, postgres: Database, tmp_path: Path) -> None:
    kafka = servers.broker()
    with running_api(servers, postgres, tmp_path, kafka) as port:
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        in_microseconds = f"ws://{LOOPBACK}:{port}/ws/btcusdt@trade?timeUnit=MICROSECOND"
        with (
            connect(f"ws://{LOOPBACK}:{port}/stream?streams=btcusdt@trade") as client,
            connect(in_microseconds) as other,
        ):
            received = None
            number = 0
            while received is None:  # until the reader has reached the end of the topic
                number += 1
                producer.produce(kafka.topic_trades, trade_value(number), "ETHUSDT")
                producer.produce(kafka.topic_trades, trade_value(number), "BTCUSDT")
                producer.flush(10)
                try:
                    received = client.recv(timeout=0.5)
                except TimeoutError:
                    assert number < 60, "no trade arrives"
            message = json.loads(received)
            assert message["stream"] == "btcusdt@trade"
            number = message["data"]["t"]
            assert json.dumps(message["data"], separators=(",", ":")).encode() == trade_value(number, 1_000)
            exact = str(other.recv(timeout=10))
            assert exact.encode() == trade_value(json.loads(exact)["t"])


def handshake(port: int, path: str) -> socket.socket:
    client = socket.create_connection((LOOPBACK, port), 10)
    key = b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    return client


def received(client: socket.socket) -> bytes:
    """Return all that the server sends until it ends the connection."""
    data = b""
    client.settimeout(10)
    try:
        while part := client.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def random_frame(random: Random) -> bytes:
    length = random.choice([0, 1, 5, 125, 126, 200, 70_000])
    head = bytes([random.choice([0x81, 0x82, 0x88, 0x89, 0x01, 0x80, random.randrange(256)])])
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + (length % 65536).to_bytes(2, "big")
    mask = random.randbytes(4)
    payload = random.choice([random.randbytes(length), b'{"method":' + b"9" * length, b"[" * length])[:length]
    masked = bytes(byte ^ mask[position % 4] for position, byte in enumerate(payload))
    return random.choice([head + size + mask + masked, random.randbytes(random.randrange(1, 300))])


def test_random_frames_end_a_connection_properly(servers: Servers, postgres: Database, tmp_path: Path) -> None:
    random = Random(11)
    with running_api(servers, postgres, tmp_path) as port:
        pid = servers.supervisor.pid("api")
        for _ in range(150):
            path = random.choice(["/ws", "/ws/btcusdt@trade", "/stream?streams=btcusdt@kline_1m"])
            with handshake(port, path) as client:
                try:
                    for _ in range(random.randrange(1, 12)):
                        client.sendall(random_frame(random))
                    client.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the server has ended the connection already
                answer = received(client)
            assert b"Traceback" not in answer
            assert b"500 " not in answer[:20]
        for path in ("/ws/x", "/stream?streams=btcusdt@depth"):
            with (
                connect(f"ws://{LOOPBACK}:{port}{path}", open_timeout=10) as client,
                pytest.raises(ConnectionClosedError, match=r"1008 .* no stream"),
            ):
                client.recv(timeout=10)
        with connect(f"ws://{LOOPBACK}:{port}/ws") as client:
            client.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert json.loads(client.recv(timeout=10)) == {"result": [], "id": 1}
        assert servers.supervisor.pid("api") == pid
        names = "/".join(f"symbol{number}usdt@kline_1m" for number in range(1_024))
        with connect(f"ws://{LOOPBACK}:{port}/stream?streams={names}") as client:
            client.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert len(json.loads(client.recv(timeout=10))["result"]) == 1_024
        log = servers.supervisor.log_of("api").read_text()
        assert "Exception in ASGI application" not in log
        assert metric(port, "push_clients") == 0


def test_a_web_page_of_another_origin_has_no_websocket(servers: Servers, postgres: Database, tmp_path: Path) -> None:
    with running_api(servers, postgres, tmp_path) as port:
        own: Any = f"http://{LOOPBACK}:{port}"
        other: Any = "https://example.com"
        with connect(f"ws://{LOOPBACK}:{port}/ws", origin=own) as client:
            client.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert json.loads(client.recv(timeout=10)) == {"result": [], "id": 1}
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{LOOPBACK}:{port}/ws", origin=other)
        assert refused.value.response.status_code == 403
        assert b"API_CORS_ORIGINS" in refused.value.response.body


def test_an_impossible_symbol_does_not_end_the_feed(servers: Servers, postgres: Database, tmp_path: Path) -> None:
    with running_api(servers, postgres, tmp_path) as port:
        pid = servers.supervisor.pid("api")
        with httpx.stream("GET", f"http://{LOOPBACK}:{port}/v1/live?symbol=%00", timeout=30) as response:
            lines = response.iter_lines()  # the connection ends with it
            assert next(lines) == "retry: 2000"
            before = metric(port, "push_queries_total")
            servers.supervisor.wait_until(
                lambda: metric(port, "push_queries_total") >= before + 3, 30, "the feed has ended"
            )
        assert servers.supervisor.pid("api") == pid
