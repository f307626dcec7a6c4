"""The consumer as a process with a real Kafka, a real PostgreSQL and an archive in a directory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import BinaryIO

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.bad_values import bad_values
from tests.oracle import Oracle, stored_candles, stored_completeness, stored_ids
from tests.servers import ROOT, Broker, Database, Servers, service

TIMEOUT = 60


def produce(kafka: Broker, values: Iterable[tuple[str, bytes | None]]) -> int:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random",
                         "linger.ms": 20, "message.max.bytes": 2_000_000})  # fmt: skip
    refused: list[KafkaError] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(error)

    count = 0
    for key, value in values:
        while True:
            try:
                producer.produce(kafka.topic_trades, value=value, key=key, on_delivery=note)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        count += 1
    assert producer.flush(30) == 0
    assert refused == []
    return count


def read_all(kafka: Broker, topic: str) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "test", "enable.auto.commit": False})
    parts = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions]
    consumer.assign(parts)
    total = sum(consumer.get_watermark_offsets(part)[1] for part in parts)
    messages: list[Message] = []
    while len(messages) < total:
        messages += consumer.consume(1000, 5)
    consumer.close()
    return messages


def environment(kafka: Broker, postgres: Database, objects: Path, **changes: str) -> dict[str, str]:
    return {**kafka.env(), **postgres.env("writer"), "OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(objects),
            "SYMBOLS": "TRXUSDT,BTCUSDT,ETHUSDT", "BATCH_SECONDS": "0.2", **changes}  # fmt: skip


@contextmanager
def consumer(servers: Servers, name: str, env: dict[str, str]) -> Iterator[None]:
    servers.supervisor.start(service(name, "consumer", env))
    try:
        yield
    finally:
        servers.supervisor.stop(name)


def start(env: dict[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    """Start a consumer without a supervisor, to observe its exit."""
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
    command = [sys.executable, "-m", "crypto_analytics.consumer"]
    return subprocess.Popen(command, env={**os.environ, **path, **env}, stderr=log)


def wait_for_merged(servers: Servers, postgres: Database, count: int) -> None:
    with postgres.connect() as connection:

        def merged() -> bool:
            row = connection.execute("select coalesce(sum(last_id - first_id + 1), 0) from trade_id_ranges").fetchone()
            return row is not None and row[0] >= count

        servers.supervisor.wait_until(merged, TIMEOUT, "not all trades are merged")


def made_trade(symbol: str, trade_id: int, random: Random) -> bytes:
    """Return a trade; ten consecutive ids make a second of trade time."""
    trade = {"e": "trade", "s": symbol, "t": trade_id, "p": f"{random.randrange(1, 10**6)}.5", "q": "0.25",
             "T": 1741046401271 + trade_id * 100, "m": random.random() < 0.5}  # fmt: skip
    return json.dumps(trade).encode()


def as_stream(path: Path) -> list[tuple[str, bytes]]:
    """Return the data objects of a recorded stream, exactly as received."""
    lines = path.read_bytes().splitlines()
    return [("TRXUSDT", line.partition(b'"data":')[2][:-1]) for line in lines]


def archived(connection: psycopg.Connection, objects: Path) -> list[bytes]:
    archive = RawArchive(DirectoryStore(objects), "raw")
    return [value for (key,) in connection.execute("select object_key from raw_objects") for value in archive.read(key)]


def test_a_recorded_stream_becomes_exact_candles(
    servers: Servers, kafka: Broker, postgres: Database, recorded_data: Path, tmp_path: Path
) -> None:
    stream = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04.tsv")
    produce(kafka, stream)
    with consumer(servers, "consumer-recorded", environment(kafka, postgres, tmp_path)):
        wait_for_merged(servers, postgres, 10_000)
    oracle = Oracle()
    oracle.add_trades_csv(recorded_data / "TRXUSDT-trades-2025-03-04.csv")
    with postgres.connect("reader") as connection:
        assert len(oracle.candles) == 48
        assert stored_candles(connection) == oracle.candles
        complete = stored_completeness(connection)
        assert [complete[key] for key in sorted(complete)] == [False, *[True] * 46, False]
        assert sorted(archived(connection, tmp_path)) == sorted(value for _, value in stream)


def test_a_repeated_id_counts_once_and_its_gap_is_listed(
    servers: Servers, kafka: Broker, postgres: Database, recorded_data: Path, tmp_path: Path
) -> None:
    stream = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv")
    produce(kafka, stream)
    with consumer(servers, "consumer-faulty", environment(kafka, postgres, tmp_path)):
        wait_for_merged(servers, postgres, 9_999)
    oracle = Oracle()
    oracle.add_values(value for _, value in stream)
    with postgres.connect("reader") as connection:
        assert stored_candles(connection) == oracle.candles
        query = "select symbol, first_missing_id, last_missing_id, missing_count from trade_id_gaps"
        gaps = connection.execute(query).fetchall()
        assert gaps == [("TRXUSDT", 348656872, 348656872, 1)]
        complete = stored_completeness(connection)
        assert [complete[key] for key in sorted(complete)] == [False, *[True] * 46, False]


def test_ten_thousand_bad_values_end_in_the_dead_letter_topic_and_nothing_else_does(
    servers: Servers, kafka: Broker, postgres: Database, recorded_data: Path, tmp_path: Path
) -> None:
    random = Random(20260105)
    good = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04.tsv")
    bad = list(bad_values(random, 10_000))
    mixed: list[tuple[str, bytes | None]] = [*good, *(("TRXUSDT", value) for value, _ in bad)]
    random.shuffle(mixed)
    produce(kafka, mixed)
    with consumer(servers, "consumer-bad", environment(kafka, postgres, tmp_path)):
        wait_for_merged(servers, postgres, 10_000)
        servers.supervisor.wait_until(
            lambda: len(read_all(kafka, kafka.topic_dlq)) >= len(bad), TIMEOUT, "dead letters are missing", every=0.5
        )
    oracle = Oracle()
    oracle.add_values(value for _, value in good)
    with postgres.connect("reader") as connection:
        assert stored_candles(connection) == oracle.candles
        assert stored_ids(connection) == oracle.ids
    letters = read_all(kafka, kafka.topic_dlq)
    found = sorted((letter.value() or b"", dict(letter.headers() or [])["reason"].decode()) for letter in letters)
    assert found == sorted((value or b"", reason) for value, reason in bad)
    assert {reason for _, reason in bad} == {
        "not_json", "wrong_shape", "futures", "unknown_symbol", "bad_id", "bad_price", "bad_quantity", "bad_time",
    }  # fmt: skip
    assert all(dict(letter.headers() or [])["origin"].startswith(kafka.topic_trades.encode()) for letter in letters)


def test_sigterm_drains_commits_and_exits_cleanly_and_a_restart_reads_nothing_again(
    servers: Servers, kafka: Broker, postgres: Database, recorded_data: Path, tmp_path: Path
) -> None:
    stream = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04.tsv")
    produce(kafka, stream)
    env = environment(kafka, postgres, tmp_path, BATCH_SECONDS="600", BATCH_TRADES="1000000")
    with (tmp_path / "log").open("wb") as log:
        process = start(env, log)
        servers.supervisor.wait_until(
            lambda: b"partitions_assigned" in (tmp_path / "log").read_bytes(), TIMEOUT, "it reads nothing"
        )
        # These settings merge no batch by age or size, so the rows in the database come from the drain at the stop.
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    with postgres.connect("reader") as connection:
        drained = stored_ids(connection).get("TRXUSDT", set())
    with consumer(servers, "consumer-again", environment(kafka, postgres, tmp_path)):
        wait_for_merged(servers, postgres, 10_000)
    with postgres.connect("reader") as connection:
        assert len(archived(connection, tmp_path)) == 10_000
        assert len(stored_ids(connection)["TRXUSDT"]) == 10_000
    committed = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "crypto-candles"}).committed(
        [TopicPartition(kafka.topic_trades, number) for number in range(6)]
    )
    assert sum(max(0, part.offset) for part in committed) == 10_000
    assert len(drained) in range(10_001)


def test_consumers_that_come_and_go_share_the_work_exactly(
    servers: Servers, kafka: Broker, postgres: Database, tmp_path: Path
) -> None:
    random = Random(3)
    symbols = [f"COIN{number}USDT" for number in range(12)]
    rows: list[tuple[str, bytes | None]] = [
        (symbol, made_trade(symbol, trade_id, random)) for trade_id in range(1, 5001) for symbol in symbols
    ]
    env = environment(kafka, postgres, tmp_path, SYMBOLS=",".join(symbols), KAFKA_CONSUMER_GROUP=kafka.topic_trades)
    third = len(rows) // 3
    with consumer(servers, "consumer-stays", env):
        produce(kafka, rows[:third])
        wait_for_merged(servers, postgres, third // 2)  # while it merges
        with consumer(servers, "consumer-comes-and-goes", env):
            log = servers.supervisor.log_of("consumer-comes-and-goes")
            servers.supervisor.wait_until(
                lambda: b'"partitions": [' in log.read_bytes() and b"partitions_assigned" in log.read_bytes(),
                TIMEOUT,
                "it gets no partition",
            )
            produce(kafka, rows[third : 2 * third])
            wait_for_merged(servers, postgres, third + third // 2)
        produce(kafka, rows[2 * third :])
        wait_for_merged(servers, postgres, len(rows))
    assert servers.supervisor.log_of("consumer-stays").read_bytes().count(b"partitions_revoked") >= 3
    oracle = Oracle()
    oracle.add_values(value for _, value in rows if value is not None)
    with postgres.connect("reader") as connection:
        assert stored_candles(connection) == oracle.candles
        assert stored_ids(connection) == oracle.ids
        assert sorted(archived(connection, tmp_path)) == sorted(value for _, value in rows if value is not None)


def test_sigterm_while_the_database_is_unreachable_still_exits_cleanly(
    servers: Servers, kafka: Broker, postgres: Database, recorded_data: Path, tmp_path: Path
) -> None:
    produce(kafka, as_stream(recorded_data / "TRXUSDT-stream-2025-03-04.tsv"))
    env = environment(kafka, postgres, tmp_path, POSTGRES_PORT="1", BATCH_TRADES="100", BATCH_MAX_TRADES="100")
    with (tmp_path / "log").open("wb") as log:
        process = start(env, log)
        servers.supervisor.wait_until(
            lambda: b"batch_merge_failed" in (tmp_path / "log").read_bytes(), TIMEOUT, "it does not notice"
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert b"batch_abandoned" in (tmp_path / "log").read_bytes()


def test_sigterm_while_kafka_is_unreachable_still_exits_cleanly(private_servers: Servers, tmp_path: Path) -> None:
    kafka, random = private_servers.broker(), Random(1)
    produce(kafka, [("TRXUSDT", made_trade("TRXUSDT", number, random)) for number in range(1, 1001)])
    log = tmp_path / "log"
    with private_servers.database() as postgres, log.open("wb") as file:
        process = start(environment(kafka, postgres, tmp_path), file)
        wait_for_merged(private_servers, postgres, 1000)
        private_servers.supervisor.stop("kafka")
        private_servers.supervisor.wait_until(lambda: b"refused" in log.read_bytes(), TIMEOUT, "it does not notice")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0, log.read_text()


def test_a_refused_login_stops_the_consumer_and_names_the_settings_to_check(
    servers: Servers, kafka: Broker, postgres: Database, tmp_path: Path
) -> None:
    produce(kafka, [("TRXUSDT", b'{"e":"trade","s":"TRXUSDT","t":1,"p":"1","q":"1","T":1741046401271,"m":true}')])
    with (tmp_path / "log").open("wb") as log:
        process = start(environment(kafka, postgres, tmp_path, POSTGRES_PASSWORD="wrong"), log)
        assert process.wait(timeout=TIMEOUT) == 1
    text = (tmp_path / "log").read_text()
    assert "password authentication failed" in text
    assert "check POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB" in text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"POSTGRES_PASSWORD": ""}, "POSTGRES_PASSWORD: is not set"),
        ({"SYMBOLS": "btc-usdt"}, "SYMBOLS: 'btc-usdt' is not a valid symbol"),
        ({"OBJECT_STORE": "s3"}, "OBJECT_STORE=s3 needs S3_ACCESS_KEY and S3_SECRET_KEY"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"BATCH_SECONDS": "soon"}, "BATCH_SECONDS: "),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(change: dict[str, str], line: str, tmp_path: Path) -> None:
    env = {"POSTGRES_USER": "writer", "POSTGRES_PASSWORD": "from-the-test", "OBJECT_STORE": "directory",
           "OBJECT_STORE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "services")}  # fmt: skip
    command = [sys.executable, "-m", "crypto_analytics.consumer"]
    done = subprocess.run(command, env={**os.environ, **env, **change}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert line in done.stderr
    assert "from-the-test" not in done.stderr
