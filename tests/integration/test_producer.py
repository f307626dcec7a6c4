"""The producer as a process between the simulator and a real Kafka."""

import json
import os
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from random import Random
from threading import Event
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.topic_tail import TopicMissing, read_sent_ids
from crypto_analytics.runtime import kafka as kafka_clients
from ops.common.loopback import LOOPBACK, free_port
from tests.integration.producer_process import (
    SYMBOLS,
    TIMEOUT,
    Running,
    Trades,
    dead_letters,
    faults,
    inject,
    producing,
    refusing,
)
from tests.servers import Broker, Database, Servers, SimulatedExchange, service

Simulate = Callable[..., SimulatedExchange]
Watch = Callable[[Broker], Trades]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Yield a function that reads a broker's trades topic."""
    with ExitStack() as stack:
        yield lambda broker: stack.enter_context(closing(Trades(broker)))


def test_every_trade_of_a_faulty_stream_reaches_kafka_and_every_bad_frame_the_dead_letters(
    servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch
) -> None:
    kinds = ("not_json", "wrong_types", "empty_frame", "large_frame", "unknown_symbol", "binary")
    exchange = simulator(
        SYMBOLS=",".join(SYMBOLS),
        SIM_MINUTES="5",
        SIM_RATE="1500",
        SIM_FAULTS=faults(
            {"type": "rest", "status": 429, "retry_after": 1},
            {"type": "drop", "at": 1000},
            {"type": "rest", "status": 500, "count": 2, "at": 1000},
            {"type": "gap", "count": 40, "at": 2000},
            {"type": "duplicate", "count": 20, "at": 2500},
            {"type": "reorder", "count": 300, "seed": 3, "at": 3000},
            {"type": "server_shutdown", "close_after": 0.3, "at": 4000},
            {"type": "stall", "seconds": 20, "at": 5000},
            {"type": "rest_slow", "seconds": 1, "count": 2, "at": 6000},
            {"type": "gap", "count": 7, "rest_missing": 2, "at": 7000},
            {"type": "drop", "at": 7500},
            {"type": "gap", "count": 5, "at": 8995},
        ),
    )
    trades = watch(kafka)
    with producing(servers, "producer-faulty", kafka, exchange) as producer:
        producer.until(lambda: trades.hold_all_of(exchange), "trades are missing")
        producer.until(producer.is_ready, "not live again")
        inject(exchange, *({"type": "malformed", "kind": kind, "count": 2} for kind in kinds))
        producer.until(lambda: len(dead_letters(kafka)) == 12, "dead letters are missing")
        metrics = producer.metrics()
        status: Any = exchange.status()
        assert metrics["symbols_live"] == 3
        assert metrics["gaps_found_total"] >= 5
        assert metrics["gaps_repaired_total"] == metrics["gaps_found_total"]
        assert metrics['stream_reconnects_total{cause="closed"}'] >= 2
        assert metrics['stream_reconnects_total{cause="stalled"}'] >= 1
        assert metrics['stream_reconnects_total{cause="server_shutdown"}'] >= 1
        assert metrics['frames_ignored_total{kind="serverShutdown"}'] >= 1
        assert trades.sources["ws"] >= 6_000
        assert trades.sources["rest"] == metrics['trades_produced_total{source="rest"}']
    total = sum(play["final_id"] - play["first_id"] + 1 for play in status["symbols"].values())
    assert total == 9000
    letters = dead_letters(kafka)
    reasons = Counter(headers["reason"] for _, headers in letters)
    assert reasons == {"not_json": 6, "wrong_shape": 2, "too_large": 2, "unknown_symbol": 2}
    assert {headers["source"] for _, headers in letters} == {"ws"}
    assert max(len(value) for value, _ in letters) == 1_000_000


def test_repaired_trades_equal_streamed_ones(
    servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch
) -> None:
    play = {"SYMBOLS": "BTCUSDT", "SIM_MINUTES": "2", "SIM_TRADES_PER_MINUTE": "500"}
    whole = simulator(**play)
    with producing(servers, "producer-whole", kafka, whole, SYMBOLS="BTCUSDT") as producer:
        streamed = watch(kafka)
        producer.until(lambda: streamed.hold_all_of(whole), "trades are missing")
    broker = servers.broker()
    with_gap = simulator(**play, SIM_FAULTS=faults({"type": "gap", "count": 300, "at": 100}))
    with producing(servers, "producer-with-gap", broker, with_gap, SYMBOLS="BTCUSDT") as producer:
        repaired = watch(broker)
        producer.until(lambda: repaired.hold_all_of(with_gap), "trades are missing")
    assert repaired.sources["rest"] >= 300
    assert repaired.values.keys() == streamed.values.keys()
    for key, value in streamed.values.items():
        left, right = msgspec.json.decode(value), msgspec.json.decode(repaired.values[key])
        assert {**left, "E": 0} == {**right, "E": 0}


def test_killed_again_and_again_it_loses_no_trade(
    servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch
) -> None:
    seed = 11
    print("seed", seed)
    chance = Random(seed)
    exchange = simulator(SYMBOLS=",".join(SYMBOLS), SIM_MINUTES="40", SIM_RATE="4000")
    trades = watch(kafka)
    with producing(servers, "producer-killed", kafka, exchange, REPAIR_AGG_ABOVE="2000") as producer:
        for _ in range(4):
            more = trades.sources.total() + chance.randint(300, 2500)

            def grown(wanted: int = more) -> bool:
                trades.look()
                return trades.sources.total() >= wanted

            producer.until(grown, "no progress")
            killed = servers.supervisor.pid(producer.name)
            os.kill(killed, signal.SIGKILL)
            producer.until(lambda killed=killed: servers.supervisor.pid(producer.name) != killed, "not started again")
        producer.until(lambda: trades.hold_all_of(exchange), "trades are missing")
        producer.until(producer.is_ready, "not live again")
    assert trades.sources["rest"] > 0


def test_gaps_that_the_database_lists_are_closed(
    servers: Servers, kafka: Broker, postgres: Database, simulator: Simulate, watch: Watch
) -> None:
    exchange = simulator(SYMBOLS="BTCUSDT", SIM_MINUTES="1", SIM_TRADES_PER_MINUTE="200", SIM_HISTORY_MINUTES="5")
    with urllib.request.urlopen(f"{exchange.rest_url}/api/v3/trades?symbol=BTCUSDT&limit=1000") as answer:
        rest_trades = [row["id"] for row in json.load(answer)]
    low, high = rest_trades[10], rest_trades[30]
    with postgres.connect() as connection:
        connection.execute("insert into trade_id_ranges values ('BTCUSDT', %s, %s)", (low - 5, low))
        connection.execute("insert into trade_id_ranges values ('BTCUSDT', %s, %s)", (high, high + 5))
    trades = watch(kafka)
    settings = {"SYMBOLS": "BTCUSDT", **postgres.env("producer"), "GAP_CHECK_SECONDS": "0.5"}
    with producing(servers, "producer-gaps", kafka, exchange, **settings) as producer:
        producer.until(lambda: trades.hold_all_of(exchange), "trades are missing")

        def closed() -> bool:
            trades.look()
            return trades.ids["BTCUSDT"].covers(low + 1, high - 1)

        producer.until(closed, "the listed gap stays open")


def test_what_the_exchange_never_issued_is_verified_absent_and_recorded_while_the_producer_is_ready(
    servers: Servers, kafka: Broker, postgres: Database, simulator: Simulate, watch: Watch
) -> None:
    gap = {"type": "gap", "count": 3, "rest_missing": "forever", "at": 100}
    exchange = simulator(SYMBOLS="BTCUSDT", SIM_MINUTES="1", SIM_TRADES_PER_MINUTE="300", SIM_FAULTS=faults(gap))
    trades = watch(kafka)
    settings = {"SYMBOLS": "BTCUSDT", **postgres.env("producer"), "GAP_CHECK_SECONDS": "0.5"}
    with producing(servers, "producer-forever", kafka, exchange, **settings) as producer:
        producer.until(lambda: "gap_not_repaired" in producer.log(), "the gap is not logged")
        producer.until(producer.is_ready, "a gap keeps it from being ready")
        assert producer.metrics()["symbols_live"] == 1

        def trades_of_the_play() -> IdRanges:
            trades.look()
            return trades.ids["BTCUSDT"]

        producer.until(lambda: len(trades_of_the_play().gaps()) == 1, "there is no gap")
        (missing,) = trades_of_the_play().gaps()
        with postgres.connect() as connection:

            def recorded() -> list[tuple[Any, ...]]:
                query = "select first_id, last_id, method, answer from verified_absent_ids where symbol = 'BTCUSDT'"
                return connection.execute(query).fetchall()

            producer.until(lambda: bool(recorded()), "the absent ids are not recorded")
            ((first, last, method, answer),) = recorded()
        assert (first, last) == missing
        assert method == "historicalTrades"
        assert answer.startswith(
            f"historicalTrades fromId={first - 1}: {last + 1} follows {first - 1} on one page, at "
        )
        metrics = producer.metrics()
        assert metrics["trade_ids_verified_absent_total"] == 3
        assert metrics['trade_ids_missing{symbol="BTCUSDT"}'] == 0


def test_the_reason_of_an_open_gap_is_reported_where_the_host_lacks_an_endpoint(
    servers: Servers, kafka: Broker, postgres: Database, simulator: Simulate
) -> None:
    without = {"type": "rest", "path": "/api/v3/historicalTrades", "status": 451, "count": 1_000_000}
    gap = {"type": "gap", "count": 3, "rest_missing": "forever", "at": 100}
    exchange = simulator(
        SYMBOLS="BTCUSDT", SIM_MINUTES="1", SIM_TRADES_PER_MINUTE="300", SIM_FAULTS=faults(without, gap)
    )
    settings = {"SYMBOLS": "BTCUSDT", **postgres.env("producer"), "GAP_CHECK_SECONDS": "0.5"}
    with producing(servers, "producer-reason", kafka, exchange, **settings) as producer, postgres.connect() as database:

        def reasons() -> list[str]:
            return [reason for (reason,) in database.execute("select reason from open_gap_reasons").fetchall()]

        producer.until(lambda: bool(reasons()), "no reason is recorded")
        assert "451" in reasons()[0]
        assert database.execute("select count(*) from verified_absent_ids").fetchone() == (0,)


def test_an_unknown_symbol_does_not_stop_the_others(
    servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch
) -> None:
    exchange = simulator(SYMBOLS=",".join(SYMBOLS), SIM_MINUTES="1", SIM_TRADES_PER_MINUTE="300")
    trades = watch(kafka)
    asked = ",".join((*SYMBOLS[:1], "NOSUCHUSDT", *SYMBOLS[1:]))
    settings = {"SYMBOLS": asked, "CATCH_UP_SECONDS": "0.5"}
    with producing(servers, "producer-unknown", kafka, exchange, **settings) as producer:
        producer.until(producer.is_ready, "one symbol stops all")
        producer.until(lambda: trades.hold_all_of(exchange), "trades are missing")
        metrics = producer.metrics()
        assert metrics["symbols_live"] == 3
        assert metrics['symbols_not_trading{status="UNKNOWN",symbol="NOSUCHUSDT"}'] == 1
        assert producer.log().count("symbol_not_found") == 1


def test_an_aggregated_stream_is_followed_and_repaired_too(
    servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch
) -> None:
    exchange = simulator(
        SYMBOLS="BTCUSDT",
        SIM_MINUTES="2",
        SIM_TRADES_PER_MINUTE="1000",
        SIM_FAULTS=faults({"type": "gap", "count": 100, "at": 300}, {"type": "drop", "at": 1000}),
    )
    trades = watch(kafka)
    with producing(servers, "producer-agg", kafka, exchange, SYMBOLS="BTCUSDT", STREAM_TYPE="aggTrade") as producer:
        producer.until(lambda: trades.hold_all_of(exchange), "trades are missing")


def test_sigterm_ends_it_in_order(servers: Servers, kafka: Broker, simulator: Simulate, watch: Watch) -> None:
    exchange = simulator(SYMBOLS=",".join(SYMBOLS), SIM_MINUTES="0", SIM_RATE="2000")
    port = free_port()
    env = {**kafka.env(), **exchange.env(), "SYMBOLS": ",".join(SYMBOLS), "METRICS_PORT": str(port)}
    program = replace(service("producer-stopped", "producer", env), restart=False)
    servers.supervisor.start(program)
    producer = Running("producer-stopped", servers, port)
    producer.until(producer.is_ready, "not ready")
    servers.supervisor.stop("producer-stopped")
    last = json.loads(producer.log().strip().splitlines()[-1])
    assert last["event"] == "stopped"
    trades = watch(kafka)
    trades.look()
    assert [len(ids.gaps()) for ids in trades.ids.values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("BINANCE_WS_URL", "http://wrong", "BINANCE_WS_URL"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_USERNAME"),
    ],
)
def test_a_wrong_setting_ends_it_with_its_name(servers: Servers, setting: str, value: str, message: str) -> None:
    name = f"producer-{message.lower()}"
    program = replace(service(name, "producer", {setting: value}), restart=False)
    assert servers.supervisor.run(program, TIMEOUT) == 2
    assert message in servers.supervisor.log_of(name).read_text()


def test_a_location_that_the_exchange_refuses_ends_it_with_the_settings_to_change(
    servers: Servers, kafka: Broker
) -> None:
    with refusing(451) as port:
        urls = {"BINANCE_WS_URL": f"ws://{LOOPBACK}:{port}", "BINANCE_REST_URL": f"http://{LOOPBACK}:{port}"}
        program = replace(service("producer-blocked", "producer", {**kafka.env(), **urls}), restart=False)
        assert servers.supervisor.run(program, TIMEOUT) == 1
    last = json.loads(servers.supervisor.log_of("producer-blocked").read_text().strip().splitlines()[-1])
    assert last["event"] == "gave_up"
    assert "BINANCE_WS_URL=wss://data-stream.binance.vision" in last["error"]


def test_the_last_ids_are_read_from_the_tail_of_the_topic(servers: Servers, kafka: Broker) -> None:
    settings = kafka.settings()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})

    def produce(symbol: str, trade_ids: range, source: str) -> None:
        for trade_id in trade_ids:
            value = msgspec.json.encode({"e": "trade", "s": symbol, "t": trade_id, "p": "1.0", "q": "1.0",
                                         "T": 1_767_571_200_000, "m": True})  # fmt: skip
            producer.produce(settings.KAFKA_TOPIC_TRADES, value, symbol, headers=[("source", source)])
            producer.poll(0)

    produce("BTCUSDT", range(1000, 1010), "ws")
    produce("BTCUSDT", range(1020, 26_000), "ws")
    produce("ETHUSDT", range(5, 9), "ws")
    produce("ETHUSDT", range(500, 520), "ws")
    produce("ETHUSDT", range(1, 3), "rest")
    assert producer.flush(30) == 0
    tail = kafka_clients.consumer(settings, "test-tail", **{"enable.partition.eof": True})
    try:
        sent = read_sent_ids(tail, settings.KAFKA_TOPIC_TRADES, ["BTCUSDT", "ETHUSDT", "NEWUSDT"], 100_000, Event())
        assert sent == {"BTCUSDT": IdRanges([(1000, 1009), (1020, 25_999)]), "ETHUSDT": IdRanges([(5, 8), (500, 519)])}
        recent = read_sent_ids(tail, settings.KAFKA_TOPIC_TRADES, ["BTCUSDT"], 100_000, Event())
        assert recent["BTCUSDT"] == sent["BTCUSDT"], "a gap of this minute is seen however many records came after it"
        near = read_sent_ids(tail, settings.KAFKA_TOPIC_TRADES, ["BTCUSDT"], 100_000, Event(), least_seconds=0)
        assert near["BTCUSDT"].last == 25_999
        assert near["BTCUSDT"].count() < 12_000, "no farther back than needed"
        with pytest.raises(TopicMissing, match="KAFKA_TOPIC_TRADES"):
            read_sent_ids(tail, "no.such.topic", ["BTCUSDT"], 1000, Event())
    finally:
        tail.close()
