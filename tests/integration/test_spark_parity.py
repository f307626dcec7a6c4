"""Variant A (plain Python) and variant B (Spark) write the same rows, column by column, and can replace each other."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Message

from ops.local.trade_counts import TradesTopic
from tests.bad_values import bad_values
from tests.integration.consumer_variants import START_SECONDS, left, running
from tests.integration.test_consumer import as_stream, environment, made_trade, produce, read_all, wait_for_merged
from tests.integration.test_kill_nine import streamed
from tests.oracle import Oracle, stored_candles, stored_ids
from tests.servers import Broker, Servers, SimulatedExchange, service

pytestmark = pytest.mark.spark

SYMBOLS = "TRXUSDT,BTCUSDT,ETHUSDT,BNBUSDT"
Row = tuple[str, bytes | None]


def aggregated(path: Path) -> Iterator[Row]:
    """Yield the trades of an aggTrades archive in the format of the exchange's stream."""
    symbol = path.name.partition("-")[0]
    with path.open(newline="") as file:
        for number, price, quantity, first, last, time, maker, _ in csv.reader(file):
            event = {"e": "aggTrade", "s": symbol, "a": int(number), "p": price, "q": quantity, "f": int(first),
                     "l": int(last), "T": int(time), "m": maker.lower() == "true"}  # fmt: skip
            yield symbol, json.dumps(event).encode()


def mixed_input(recorded_data: Path, random: Random) -> tuple[list[Row], list[Row], int]:
    """Return the valid values, all values in the order of sending, and the number of bad ones."""
    recorded = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04.tsv")
    faulty = as_stream(recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv")
    aggregates = list(aggregated(recorded_data / "BTCUSDT-aggTrades-2020-01-02.csv"))
    simulated = [("ETHUSDT", made_trade("ETHUSDT", number, random)) for number in range(1, 8001) if number % 97]
    late = [("ETHUSDT", made_trade("ETHUSDT", number, random)) for number in range(97, 8001, 97)]
    random.shuffle(simulated)
    good: list[Row] = [*recorded, *aggregates, *simulated]
    bad: list[Row] = [("TRXUSDT", value) for value, _ in bad_values(random, 1000)]
    head = [*good, *bad]
    random.shuffle(head)
    # Repeat sent values: single trades, aggregates, and late trades that close the gaps, up to an hour behind.
    tail: list[Row] = [*late, *random.sample(good, 4000), *faulty]
    random.shuffle(tail)
    return [*good, *tail], [*head, *tail], len(bad)


def letters(messages: list[Message]) -> list[tuple[bytes, bytes, bytes]]:
    found = []
    for message in messages:
        headers = dict(message.headers() or [])
        found.append((message.value() or b"", headers["reason"], headers["origin"]))
    return sorted(found)


@pytest.mark.timeout(400)
def test_both_variants_leave_the_same_tables_archive_and_dead_letters(
    servers: Servers, kafka: Broker, recorded_data: Path, tmp_path: Path
) -> None:
    good, sent, bad = mixed_input(recorded_data, Random(20261124))
    produce(kafka, sent)
    oracle = Oracle()
    oracle.add_values(value for _, value in good if value is not None)
    total = sum(map(len, oracle.ids.values()))
    found = {}
    for variant, small in (("python", {"BATCH_TRADES": "700", "BATCH_MAX_TRADES": "900"}),
                           ("spark", {"SPARK_MAX_OFFSETS_PER_TRIGGER": "5000"})):  # fmt: skip
        broker = replace(kafka, topic_dlq=servers.broker().topic_dlq)
        group = f"{kafka.topic_trades}-{variant}"
        with servers.database() as postgres:
            objects = tmp_path / variant
            env = environment(broker, postgres, objects, SYMBOLS=SYMBOLS, KAFKA_CONSUMER_GROUP=group, **small)
            with running(servers, variant, f"parity-{variant}", env) as it:
                if variant == "spark":
                    it.wait_until_it_is_ready()
                    assert it.consumes(), "ready before the first batch was merged"
                it.wait_until_it_consumes()
                wait_for_merged(servers, postgres, total)
                servers.supervisor.wait_until(
                    lambda it=it: it.metric("trades_consumed_total") >= len(sent), 60, "not all is read"
                )
            with postgres.connect("reader") as connection:
                assert stored_candles(connection) == oracle.candles
                assert stored_ids(connection) == oracle.ids
            found[variant] = (left(postgres, objects), letters(read_all(broker, broker.topic_dlq)))
    assert len(found["python"][1]) == bad
    assert sum(len(values) for _, _, values in found["python"][0].archive) > 18_000
    assert found["spark"] == found["python"]


def nothing_waits(kafka: Broker, group: str) -> Callable[[], bool]:
    """Return a condition: the group has committed all records of the topic."""

    def check() -> bool:
        topic = TradesTopic(kafka.settings(), group)
        try:
            produced, waiting = topic.count()
        finally:
            topic.close()
        return produced > 0 and waiting == 0

    return check


@pytest.mark.timeout(400)
def test_variants_in_turn_and_overlapping_leave_the_same_tables_as_the_consumer_alone(
    servers: Servers, simulator: Callable[..., SimulatedExchange], kafka: Broker, tmp_path: Path
) -> None:
    symbols = "BTCUSDT,ETHUSDT,BNBUSDT"
    exchange = simulator(SYMBOLS=symbols, SIM_TRADES_PER_MINUTE="5000", SIM_MINUTES="30",
                         SIM_SEED="7", SIM_RATE="2000")  # fmt: skip
    supervisor = servers.supervisor
    with servers.database() as postgres:
        group = kafka.topic_trades
        env = environment(kafka, postgres, tmp_path / "turns", SYMBOLS=symbols, KAFKA_CONSUMER_GROUP=group)
        feed = {**env, **exchange.env(), **postgres.env("producer"), "BINANCE_WEIGHT_LIMIT": "1000000"}

        def goes_on(trades: int) -> None:
            until = streamed(exchange) + trades
            supervisor.wait_until(lambda: streamed(exchange) >= until, START_SECONDS, "the play does not go on")

        try:
            with running(servers, "python", "turns-a", env) as a:
                supervisor.start(service("turns-producer", "producer", feed))
                a.wait_until_it_consumes()
                with running(servers, "spark", "turns-b", env) as b:
                    b.wait_until_it_consumes()
                    goes_on(10_000)  # side by side
                    supervisor.stop("turns-a")
                    goes_on(10_000)  # B alone
                    with running(servers, "python", "turns-a-again", env) as again:
                        again.wait_until_it_consumes()
                        goes_on(5_000)  # side by side
                        supervisor.stop("turns-b")
                        goes_on(5_000)  # A alone
                        assert exchange.status()["state"] != "done", "the turns took longer than the play"
                        supervisor.stop("turns-producer")
                        supervisor.wait_until(nothing_waits(kafka, group), 60, "records wait", every=0.2)
        finally:
            if supervisor.is_known("turns-producer"):
                supervisor.stop("turns-producer")
        turns = left(postgres, tmp_path / "turns")
    with servers.database() as postgres:
        alone = environment(kafka, postgres, tmp_path / "alone", SYMBOLS=symbols, KAFKA_CONSUMER_GROUP=f"{group}-alone")
        with running(servers, "python", "alone", alone):
            supervisor.wait_until(nothing_waits(kafka, f"{group}-alone"), 60, "records wait", every=0.2)
        assert turns == left(postgres, tmp_path / "alone")
