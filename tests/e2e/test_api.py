"""The read API: its candles equal the table, its logins do their part and nothing else, a browser sees the page."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient
from minio.error import S3Error
from websockets.sync.client import connect

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.store.objects import ObjectNotFound
from ops.common.loopback import LOOPBACK
from ops.common.paths import STATE
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.platforms import Platform
from tests.e2e.published_candles import TOPIC, verify_published
from tests.e2e.recomputation import DEFAULT_SYMBOLS, GROUP, read_stored, wait_caught_up, window_start
from tests.e2e.report import Report
from tests.e2e.test_logins import DEAD_LETTERS, TRADES, first_message, write_error
from tests.live_page import check_live_page, incomplete_candle

_MINUTE_MS = 60_000


@pytest.fixture
def base(platform: Platform) -> str:
    """Return the API's address on this machine."""
    return f"http://{LOOPBACK}:{platform.port('api')}"


def get(base: str, path: str, **parameters: Any) -> Any:
    answer = httpx.get(f"{base}{path}", params=parameters, timeout=30, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


@pytest.mark.variant
@pytest.mark.parametrize("symbol", DEFAULT_SYMBOLS)
def test_klines_equal_the_table_to_the_digit(platform: Platform, base: str, symbol: str) -> None:
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    since = window_start()
    with platform.postgres("reader") as connection:
        stored = read_stored(connection, [symbol], since)
    start = int(since.timestamp() * 1000)
    rows = get(base, "/api/v3/klines", symbol=symbol, interval="1m", startTime=start, limit=1000)
    served = {(symbol, datetime.fromtimestamp(row[0] / 1000, UTC)): row for row in rows}
    complete = [key for key, is_complete in stored.complete.items() if is_complete]
    assert complete, f"no complete candle of {symbol} since {since}"
    for key in complete:
        row, candle = served[key], stored.candles[key]
        names = ("open", "high", "low", "close", "volume")
        assert {name: candle[name] for name in names} == dict(zip(names, map(Decimal, row[1:6]), strict=True)), key
        assert row[6] == row[0] + _MINUTE_MS - 1
        assert (row[8], Decimal(row[9])) == (candle["trade_count"], candle["taker_buy_volume"]), key
        assert all(isinstance(row[number], str) for number in (1, 2, 3, 4, 5, 7, 9, 10))


@pytest.mark.variant
def test_the_topic_of_candles_agrees_with_the_table(platform: Platform, report: Report) -> None:
    report.verified["published"] = {"candles": verify_published(platform, DEFAULT_SYMBOLS)}


def test_trades_come_from_the_raw_archive(platform: Platform, base: str) -> None:
    (newest, *_) = get(base, "/api/v3/historicalTrades", symbol="BTCUSDT", limit=1)
    with platform.postgres("reader") as connection:
        query = (
            "select exists (select from trade_id_ranges where symbol = 'BTCUSDT' and %s between first_id and last_id)"
        )
        assert connection.execute(query, (newest["id"],)).fetchone() == (True,)


@pytest.mark.timeout(120)
def test_a_browser_sees_the_live_page(platform: Platform, base: str) -> None:
    """Check the page; the incomplete candle is of a symbol that no other test counts."""
    with platform.postgres("superuser") as connection, incomplete_candle(connection, "LIVEPAGEUSDT") as symbol:
        check_live_page(base, STATE / f"live-page-{platform.name}", incomplete=symbol)


class TestLogins:
    """Each login can do its part, and nothing else."""

    @pytest.mark.parametrize(
        ("user", "topics"),
        [("api", {TRADES}), ("publisher", {TOPIC}), ("reader", {TRADES, TOPIC, DEAD_LETTERS})],
    )
    def test_a_login_sees_its_topics_and_no_other(self, platform: Platform, user: str, topics: set[str]) -> None:
        """Kafka describes a topic only to a login that may read or write it."""
        client = AdminClient(client_config(platform.kafka(user)))
        assert set(client.list_topics(timeout=30).topics) >= topics
        for topic in {TRADES, TOPIC, DEAD_LETTERS} - topics:
            error = client.list_topics(topic, timeout=30).topics[topic].error
            assert error is not None
            assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    @pytest.mark.parametrize(
        ("user", "group", "topic"),
        [("publisher", f"{TOPIC}-publisher", TOPIC), ("api", "api", TRADES), ("reader", "reader-e2e", TOPIC)],
    )
    def test_a_login_reads_its_topic(self, platform: Platform, user: str, group: str, topic: str) -> None:
        assert first_message(platform, user, group=group, topic=topic, joins=False).error() is None

    @pytest.mark.parametrize("user", ["api", "publisher"])
    def test_neither_can_join_the_merging_services_group(self, platform: Platform, user: str) -> None:
        refused = first_message(platform, user, group=GROUP, topic=TRADES, joins=True).error()
        assert refused is not None
        assert refused.code() in {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}

    @pytest.mark.parametrize(
        ("user", "topic"),
        [("api", TRADES), ("api", TOPIC), ("publisher", TRADES), ("consumer", TOPIC), ("reader", TOPIC)],
    )
    def test_only_the_publisher_writes_candles_and_it_writes_nothing_else(
        self, platform: Platform, user: str, topic: str
    ) -> None:
        error = write_error(platform, user, topic)
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    def test_the_api_reads_raw_objects_and_can_do_nothing_else(self, platform: Platform) -> None:
        key = next(iter(platform.objects("reader").list("raw", "trades/"))).key
        store = platform.objects("api")
        assert store.get("raw", key)
        with pytest.raises((S3Error, ObjectNotFound)):
            store.get("gold", "e2e")
        for action in (
            lambda: list(store.list("raw")),
            lambda: store.put("raw", "e2e", b""),
            lambda: store.delete("raw", key),
        ):
            with pytest.raises(S3Error) as refused:
                action()
            assert refused.value.code == "AccessDenied"


def test_trades_are_pushed_in_the_exchanges_form(platform: Platform) -> None:
    with connect(f"ws://{LOOPBACK}:{platform.port('api')}/ws/btcusdt@trade", proxy=None) as stream:
        trade = json.loads(stream.recv(timeout=60))
    assert (trade["e"], trade["s"]) == ("trade", "BTCUSDT")
    assert abs(trade["T"] / 1000 - time.time()) < 300  # milliseconds


@pytest.mark.kind
@pytest.mark.parametrize(("component", "allowed"), [
    ("api", {("postgres", 5432), ("crypto-kafka-bootstrap", 9092), ("minio", 9000)}),
    ("publisher", {("postgres", 5432), ("crypto-kafka-bootstrap", 9092)}),
])  # fmt: skip
def test_only_its_own_servers_can_be_reached(
    kubernetes: Kubernetes, component: str, allowed: set[tuple[str, int]]
) -> None:
    """Connect from inside the pod to each Service of the platform."""
    targets = {
        (service["metadata"]["name"], port["port"])
        for service in kubernetes.get("services")
        if service["spec"]["clusterIP"] != "None"
        and not service["metadata"]["name"].endswith("-external")
        and service["spec"]["selector"]["app.kubernetes.io/name"] != component  # policies do not bind a pod to itself
        for port in service["spec"]["ports"]
    }
    assert allowed <= targets
    (pod,) = kubernetes.pods(component)
    reached = kubernetes.kubectl(
        "exec", "-i", pod["metadata"]["name"], "--", "python", "-c", _CONNECT, stdin=str(targets)
    )
    assert {tuple(line.split()) for line in reached.splitlines()} == {(name, str(port)) for name, port in allowed}


# Prints each target of standard input that accepts a connection; a refused one answers too, and a policy drops it.
_CONNECT = """
import ast, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(target):
    try:
        socket.create_connection(target, timeout=3).close()
    except ConnectionRefusedError:
        return target
    except OSError:
        return None
    return target
with ThreadPoolExecutor(32) as pool:
    for found in pool.map(reach, sorted(ast.literal_eval(sys.stdin.read()))):
        if found:
            print(*found)
"""
