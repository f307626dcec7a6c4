"""The publisher with real servers: the last message of each candle is its row, whatever happens to topic and table.

``test_kill_nine.py`` has the kills; here the topic and the database are replaced under the publisher.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest
import structlog
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from structlog.testing import capture_logs

from crypto_analytics.publisher.__main__ import build
from crypto_analytics.publisher.messages import partition
from crypto_analytics.publisher.settings import PublisherSettings
from crypto_analytics.runtime import kafka as clients
from crypto_analytics.runtime.health import Health
from ops.local import topics
from ops.local.supervisor import Supervisor
from tests.candle_topic import SCHEMA, TopicView, read_topic, table_messages
from tests.servers import Broker, Database, Servers

SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")
COUNT = 50  # candles of each symbol
TIMEOUT = 60.0

INSERT = """
insert into fact_realtime_trades_1m (
    symbol, open_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
    taker_buy_quote_volume, first_trade_id, last_trade_id
)
select
    symbol, timestamptz '2026-01-05' + minute * interval '1 minute', 2, 3.00000001, 0.00000001, 2.5, 1.5, 2.25, 4, 0.5,
    0.0000000000000001, minute * 10, minute * 10 + 3
from unnest(%s::text[]) as symbol cross join generate_series(%s::integer, %s::integer) as minute
"""
CHANGE = """
update fact_realtime_trades_1m set volume = volume + 1, updated_at = clock_timestamp()
where symbol = %s and open_time >= timestamptz '2026-01-05' + %s * interval '1 minute'
"""


class Running:
    """A publisher in a thread."""

    def __init__(self, kafka: Broker, postgres: Database) -> None:
        self.stop = Event()
        self.health = Health()
        settings = PublisherSettings(
            **kafka.env(),
            **postgres.env("reader"),
            CANDLES_CHECK_SECONDS=0.2,  # type: ignore[arg-type]
        )
        self._publisher = build(settings, self.stop, self.health, structlog.stdlib.get_logger("publisher"))
        self.error: Exception | None = None
        self.thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._publisher.run()
        except Exception as error:  # noqa: BLE001  # raised by the test
            self.error = error


@contextmanager
def publishing(kafka: Broker, postgres: Database) -> Iterator[Running]:
    running = Running(kafka, postgres)
    running.thread.start()
    try:
        yield running
    finally:
        running.stop.set()
        running.thread.join(TIMEOUT)
    assert not running.thread.is_alive()
    if running.error is not None:
        raise running.error


@pytest.fixture
def table(postgres: Database) -> Iterator[psycopg.Connection]:
    with postgres.connect() as connection:
        connection.execute(INSERT, [list(SYMBOLS), 1, COUNT])
        yield connection


def wait_until_equal(supervisor: Supervisor, kafka: Broker, table: psycopg.Connection) -> TopicView:
    """Return the topic once the last message of each key is the row of the table, and no other key is there."""
    stored = table_messages(table)
    found: list[TopicView] = []

    def is_equal() -> bool:
        found[:] = [read_topic(kafka)]
        return found[0].latest == stored

    supervisor.wait_until(is_equal, TIMEOUT, "topic and table differ", every=0.2)
    return found[0]


def test_each_change_is_published_once_in_the_partition_of_its_symbol(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    producer = clients.producer(kafka.settings())
    producer.produce(kafka.topic_candles, b"of another program", b"foreign")
    assert producer.flush(TIMEOUT) == 0
    with publishing(kafka, postgres):
        wait_until_equal(servers.supervisor, kafka, table)
        for minute in range(COUNT - 20, COUNT):
            table.execute(CHANGE, [SYMBOLS[minute % 3], minute])
        wait_until_equal(servers.supervisor, kafka, table)
    table.execute(CHANGE, [SYMBOLS[0], COUNT - 1])
    with publishing(kafka, postgres):
        found = wait_until_equal(servers.supervisor, kafka, table)
    for message in found.latest.values():
        SCHEMA.validate(message)
    for revisions in found.revisions.values():
        assert revisions == sorted(set(revisions))  # no message twice, not even after the restart
    assert found.partitions == {symbol: {partition_of_client(kafka, symbol)} for symbol in SYMBOLS}


def partition_of_client(kafka: Broker, symbol: str) -> int:
    """Return the partition that the producer of the trades chooses for the symbol."""
    partitions: list[int] = []
    producer = clients.producer(kafka.settings())
    producer.produce(
        kafka.topic_trades, b"", symbol, on_delivery=lambda _, record: partitions.append(record.partition())
    )
    assert producer.flush(TIMEOUT) == 0
    return partitions[0]


def test_a_topic_that_is_deleted_or_created_anew_is_filled_again(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    with publishing(kafka, postgres):
        wait_until_equal(servers.supervisor, kafka, table)
        create_anew(servers, kafka)
        wait_until_equal(servers.supervisor, kafka, table)
        table.execute(CHANGE, [SYMBOLS[0], COUNT - 1])
        wait_until_equal(servers.supervisor, kafka, table)
    create_anew(servers, kafka)
    with publishing(kafka, postgres):
        wait_until_equal(servers.supervisor, kafka, table)


def create_anew(servers: Servers, kafka: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    [deleted] = admin.delete_topics([kafka.topic_candles]).values()
    deleted.result(TIMEOUT)
    servers.supervisor.wait_until(
        lambda: kafka.topic_candles not in admin.list_topics(timeout=TIMEOUT).topics, TIMEOUT, "the topic is there"
    )
    topics.ensure_copies(kafka.settings())


def restore(table: psycopg.Connection) -> None:
    """Give the table the rows, and the sequence the number, that :func:`back_up` found."""
    with table.transaction():
        table.execute("set local session_replication_role = replica")  # no triggers: rows as in the backup
        columns = ", ".join(name for (name,) in table.execute(
            "select column_name from information_schema.columns "
            "where table_name = 'fact_realtime_trades_1m' and is_generated = 'NEVER'"
        ))  # fmt: skip
        table.execute("delete from fact_realtime_trades_1m")
        table.execute(f"insert into fact_realtime_trades_1m ({columns}) select {columns} from backup".encode())
        table.execute("select setval('candle_revisions', (select number from backup_number))")


def back_up(table: psycopg.Connection) -> None:
    table.execute("create table backup as select * from fact_realtime_trades_1m")
    table.execute("create table backup_number as select last_value as number from candle_revisions")


@pytest.mark.parametrize("is_running", [True, False])
def test_a_database_restored_to_older_candles_is_published_again(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection, is_running: bool
) -> None:
    back_up(table)
    with publishing(kafka, postgres):
        table.execute(INSERT, [list(SYMBOLS[:2]), COUNT + 1, COUNT + 40])  # lost by the restore
        table.execute(CHANGE, [SYMBOLS[0], COUNT - 30])
        wait_until_equal(servers.supervisor, kafka, table)
        if is_running:
            with capture_logs() as logs:
                restore(table)
                wait_until_equal(servers.supervisor, kafka, table)
            assert [log["event"] for log in logs].count("topic_differs_from_table") == 1
    if not is_running:
        restore(table)
        for _ in range(100):  # the restored database has passed the published revisions before the publisher sees it
            table.execute(CHANGE, [SYMBOLS[0], COUNT - 10])
        with publishing(kafka, postgres), capture_logs() as logs:
            wait_until_equal(servers.supervisor, kafka, table)
        assert [log["event"] for log in logs].count("topic_differs_from_table") == 1
    with publishing(kafka, postgres), capture_logs() as logs:
        table.execute(CHANGE, [SYMBOLS[2], COUNT - 1])
        wait_until_equal(servers.supervisor, kafka, table)
    assert not [log for log in logs if log["log_level"] == "warning"]


def test_a_database_created_anew_leaves_no_candle_in_the_topic(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    with publishing(kafka, postgres):
        wait_until_equal(servers.supervisor, kafka, table)
    table.execute("truncate fact_realtime_trades_1m restart identity")
    table.execute(INSERT, [[SYMBOLS[0]], 1, 3])
    for _ in range(2):
        with publishing(kafka, postgres):
            found = wait_until_equal(servers.supervisor, kafka, table)
    assert len(found.latest) == 3
    assert found.tombstones == 3 * COUNT - 3


def test_symbols_stay_in_their_partition_when_partitions_are_added(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    with publishing(kafka, postgres):
        before = wait_until_equal(servers.supervisor, kafka, table)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    [added] = admin.create_partitions([NewPartitions(kafka.topic_candles, 7)]).values()
    added.result(TIMEOUT)
    servers.supervisor.wait_until(
        lambda: len(admin.list_topics(kafka.topic_candles, TIMEOUT).topics[kafka.topic_candles].partitions) == 7,
        TIMEOUT,
        "the partitions are not there",
    )
    new = [f"NEW{number}USDT" for number in range(20)]
    with publishing(kafka, postgres), capture_logs() as logs:
        for symbol in SYMBOLS:
            table.execute(CHANGE, [symbol, COUNT - 1])
        table.execute(INSERT, [new, 1, 1])
        after = wait_until_equal(servers.supervisor, kafka, table)
    assert not [log for log in logs if log["log_level"] == "warning"]
    assert {symbol: after.partitions[symbol] for symbol in SYMBOLS} == before.partitions
    assert {symbol: after.partitions[symbol] for symbol in new} == {
        symbol: {partition(symbol, 7)} for symbol in new
    }  # the tests of partition compare it with Kafka's clients
    assert 6 in {partition(symbol, 7) for symbol in new}


def test_candles_in_a_partition_that_is_not_their_symbols_are_removed(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    with publishing(kafka, postgres):
        before = wait_until_equal(servers.supervisor, kafka, table)
    [own] = before.partitions[SYMBOLS[0]]
    producer = clients.producer(kafka.settings())
    for key, message in list(before.live[own].items())[:10]:
        producer.produce(kafka.topic_candles, json.dumps(message), key, partition=(own + 1) % 6)
    assert producer.flush(TIMEOUT) == 0
    with publishing(kafka, postgres), capture_logs() as logs:
        servers.supervisor.wait_until(lambda: read_topic(kafka).tombstones == 10, TIMEOUT, "they are not removed")
        table.execute(CHANGE, [SYMBOLS[0], COUNT - 1])
        wait_until_equal(servers.supervisor, kafka, table)
    assert [log["event"] for log in logs].count("topic_differs_from_table") == 1


def test_a_second_publisher_waits_and_takes_over(
    servers: Servers, kafka: Broker, postgres: Database, table: psycopg.Connection
) -> None:
    with publishing(kafka, postgres) as first:
        wait_until_equal(servers.supervisor, kafka, table)
        with capture_logs() as logs, publishing(kafka, postgres) as second:
            servers.supervisor.wait_until(lambda: bool(logs), TIMEOUT, "the second publisher says nothing")
            table.execute(CHANGE, [SYMBOLS[0], COUNT - 1])
            wait_until_equal(servers.supervisor, kafka, table)
            assert [log["event"] for log in logs] == ["lock_held"]
            assert first.health.ready
            assert not second.health.ready
            first.stop.set()
            servers.supervisor.wait_until(lambda: second.health.ready, TIMEOUT, "the second one does not take over")
            table.execute(CHANGE, [SYMBOLS[0], COUNT - 1])
            found = wait_until_equal(servers.supervisor, kafka, table)
    assert found.revisions[SYMBOLS[0]] == sorted(set(found.revisions[SYMBOLS[0]]))
