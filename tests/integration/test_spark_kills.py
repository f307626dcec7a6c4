"""kill -9 of driver, executor, Kafka and PostgreSQL under the Spark variant: no trade is lost or counted twice.

The kills happen at random numbers of streamed trades. CHAOS_SEEDS (comma-separated) repeats or varies them.
"""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ops.common.loopback import free_port
from tests.integration.consumer_variants import START_SECONDS, Variant, all_is_merged, left, running, start
from tests.integration.test_consumer import environment, made_trade, produce
from tests.integration.test_kill_nine import all_have_a_merged_trade, killed, streamed
from tests.servers import Broker, Servers, service, spark

pytestmark = pytest.mark.spark

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1").split(",")]
SYMBOLS = "BTCUSDT,ETHUSDT,BNBUSDT"
TRADES_PER_MINUTE, MINUTES = 5_000, 10
TRADES = 3 * TRADES_PER_MINUTE * MINUTES
PLAY = {"SYMBOLS": SYMBOLS, "SIM_TRADES_PER_MINUTE": str(TRADES_PER_MINUTE), "SIM_MINUTES": str(MINUTES),
        "SIM_SEED": "7", "SIM_RATE": "2000"}  # fmt: skip
VICTIMS = ("driver", "executor", "executor", "kafka", "postgres", "driver")


def plan(seed: int) -> list[tuple[int, str]]:
    """Return the kills as (number of streamed trades, victim), in order."""
    random = Random(seed)
    victims = list(VICTIMS)
    random.shuffle(victims)
    moments = sorted(random.randrange(TRADES // 20, TRADES * 3 // 4) for _ in victims)
    return list(zip(moments, victims, strict=True))


def executors(driver: int) -> list[psutil.Process]:
    """Return the processes (Java) of the executors of the driver with the process id ``driver``."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(driver).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a zombie process has no command line
                if "CoarseGrainedExecutorBackend" in " ".join(process.cmdline()):
                    found.append(process)
    return found


def kill(servers: Servers, victim: str) -> bool:
    """Kill the victim; return False if it does not run at the moment."""
    if victim == "executor":
        running = executors(servers.supervisor.pid("spark"))
        return bool(running) and killed(running[0].pid)
    return killed(servers.supervisor.pid({"driver": "spark"}.get(victim, victim)))


def forget_position(kafka: Broker, group: str) -> Callable[[], bool]:
    """Return a condition that deletes the group's offsets and holds once they are deleted."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    def gone() -> bool:
        try:
            admin.delete_consumer_groups([group])[group].result()
        except KafkaException as error:
            return bool(error.args[0].name() == "GROUP_ID_NOT_FOUND")
        return True

    return gone


@pytest.mark.timeout(500)
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_and_lost_offsets_leave_the_same_tables_as_an_undisturbed_consumer(
    private_servers: Servers, tmp_path: Path, seed: int
) -> None:
    servers, supervisor = private_servers, private_servers.supervisor
    kills = plan(seed)
    print(f"seed {seed}: " + ", ".join(f"{victim}@{after}" for after, victim in kills))
    kafka = servers.broker()
    group = kafka.topic_trades
    checkpoint = tmp_path / "checkpoint"
    with servers.database() as postgres, servers.simulator(PLAY) as exchange:
        env = environment(kafka, postgres, tmp_path / "stormy", SYMBOLS=SYMBOLS, KAFKA_CONSUMER_GROUP=group)
        feed = {**env, **exchange.env(), **postgres.env("producer"), "GAP_CHECK_SECONDS": "5",
                "BINANCE_WEIGHT_LIMIT": "1000000"}  # fmt: skip
        cluster = {
            **env,
            "SPARK_MASTER": "local-cluster[2,1,512]",
            "SPARK_EXECUTOR_MEMORY": "512m",
            "SPARK_WORKER_DIR": str(tmp_path / "work"),
            "SPARK_CHECKPOINT_DIR": str(checkpoint),
        }
        try:
            variant = start(servers, "spark", "spark", cluster)
            spark_runs = lambda: bool(executors(supervisor.pid("spark")))  # noqa: E731
            supervisor.wait_until(spark_runs, START_SECONDS, "no executor", every=0.2)
            variant.wait_until_it_is_ready()  # on an empty topic
            supervisor.start(service("producer", "producer", feed))
            supervisor.wait_until(
                all_have_a_merged_trade(postgres, exchange), START_SECONDS, "a symbol has no trade yet"
            )
            variant.wait_until_it_consumes()
            for after, victim in kills:
                supervisor.wait_until(
                    lambda after=after: streamed(exchange) >= after, START_SECONDS, "the play does not go on"
                )
                supervisor.wait_until(
                    lambda victim=victim: kill(servers, victim), START_SECONDS, f"no {victim} to kill"
                )
            supervisor.wait_until(all_is_merged(postgres, exchange), 240, "trades are missing", every=0.2)
        finally:
            for name in ("producer", "spark"):
                if supervisor.is_known(name):
                    supervisor.stop(name)
        stormy = left(postgres, tmp_path / "stormy")
        assert supervisor.restarts["spark"] >= VICTIMS.count("driver")

        # Its offsets and its checkpoint are lost: all records are read again and found to be duplicates.
        supervisor.wait_until(forget_position(kafka, group), 30, "the group stays")
        with running(servers, "spark", "spark-again", env) as again:
            supervisor.wait_until(
                lambda: again.metric("trades_consumed_total") >= TRADES,
                START_SECONDS,
                "it does not read again",
                every=0.2,
            )
            assert again.metric("trades_merged_total") == 0
        assert left(postgres, tmp_path / "stormy") == stormy
        with servers.database() as untouched:
            calm = environment(
                kafka, untouched, tmp_path / "calm", SYMBOLS=SYMBOLS, KAFKA_CONSUMER_GROUP=f"{group}-calm"
            )
            with running(servers, "python", "calm", calm):
                supervisor.wait_until(all_is_merged(untouched, exchange), 60, "trades are missing", every=0.2)
            assert left(untouched, tmp_path / "calm") == stormy


@pytest.mark.parametrize("unreachable", [False, True], ids=["calm", "database unreachable"])
def test_sigterm_ends_the_driver_in_order_within_ten_seconds(
    unreachable: bool, servers: Servers, kafka: Broker, tmp_path: Path
) -> None:
    with servers.database() as postgres:
        port = free_port()
        changes = {"POSTGRES_PORT": "1"} if unreachable else {}
        env = environment(kafka, postgres, tmp_path / "objects", METRICS_PORT=str(port), **changes)
        random = Random(1)
        produce(kafka, [("TRXUSDT", made_trade("TRXUSDT", number, random)) for number in range(1, 1001)])
        log = tmp_path / "log"
        program = spark("sigterm", env, tmp_path / "maven.log")
        with log.open("wb") as file:
            process = subprocess.Popen(program.command, env=program.env, stderr=file, stdout=file, cwd=program.folder)
        try:
            if unreachable:
                servers.supervisor.wait_until(
                    lambda: b"batch_merge_failed" in log.read_bytes(), START_SECONDS, "no try"
                )
                assert not Variant("sigterm", port, servers).is_ready(), "ready before the first batch was merged"
            else:
                with postgres.connect() as connection:
                    found = lambda: connection.execute("select from trade_id_ranges").fetchone() is not None  # noqa: E731
                    servers.supervisor.wait_until(found, START_SECONDS, "nothing is merged")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def test_sigterm_while_kafka_is_unreachable_stops_the_driver_gracefully(
    private_servers: Servers, tmp_path: Path
) -> None:
    supervisor = private_servers.supervisor
    kafka = private_servers.broker()
    with private_servers.database() as postgres:
        random = Random(1)
        produce(kafka, [("TRXUSDT", made_trade("TRXUSDT", number, random)) for number in range(1, 1001)])
        env = environment(kafka, postgres, tmp_path / "objects")
        log = tmp_path / "log"
        program = spark("sigterm", env, tmp_path / "maven.log")
        with log.open("wb") as file:
            process = subprocess.Popen(program.command, env=program.env, stderr=file, stdout=file, cwd=program.folder)
        try:
            with postgres.connect() as connection:
                found = lambda: connection.execute("select from trade_id_ranges").fetchone() is not None  # noqa: E731
                supervisor.wait_until(found, START_SECONDS, "nothing is merged")
            supervisor.stop("kafka")
            at = len(log.read_bytes())
            supervisor.wait_until(
                lambda: b"could not be established" in log.read_bytes()[at:],
                60,
                "Spark does not notice that Kafka is stopped",
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
