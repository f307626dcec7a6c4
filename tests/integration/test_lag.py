"""The published lag equals Kafka's own for the group, also while a store is unreachable, in both variants."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from ops.local import postgres as server_of
from tests.integration.consumer_variants import START_SECONDS, Variant, running
from tests.integration.test_consumer import environment, made_trade, produce
from tests.servers import Broker, Servers

TIMEOUT = 60
SYMBOLS = [f"COIN{number}USDT" for number in range(12)]  # in several partitions
LAG, AGE = "consumer_lag_trades", "consumer_lag_seconds"


class Group:
    """Kafka's own offsets of the consumer group, as the oracle."""

    def __init__(self, kafka: Broker) -> None:
        self._topic = kafka.topic_trades
        self._client = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": kafka.topic_trades})
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    def committed(self) -> dict[int, int]:
        wanted = [TopicPartition(self._topic, number) for number in range(6)]
        return {part.partition: max(0, part.offset) for part in self._client.committed(wanted, TIMEOUT)}

    def waiting(self) -> int:
        """Return the number of records in the topic that the group has not committed."""
        count = 0
        for number, offset in self.committed().items():
            low, end = self._client.get_watermark_offsets(TopicPartition(self._topic, number), TIMEOUT)
            count += end - max(low, offset)
        return count

    def remove(self, count: int) -> None:
        """Remove the first ``count`` records of one partition that the group has not read, as retention does."""
        number, offset = max(self.committed().items(), key=lambda place: place[1])
        [future] = self._admin.delete_records([TopicPartition(self._topic, number, offset + count)]).values()
        future.result(TIMEOUT)

    def close(self) -> None:
        self._client.close()


@contextmanager
def database_unreachable(servers: Servers) -> Iterator[None]:
    server = servers.postgres()
    servers.supervisor.stop("postgres")
    try:
        yield
    finally:
        servers.supervisor.start(server_of.program(server))
        servers.supervisor.wait_ready("postgres")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("variant", "consumers"), [("python", 2), pytest.param("spark", 1, marks=pytest.mark.spark)])
def test_the_lag_is_the_groups_own_at_each_moment(
    servers: Servers, kafka: Broker, tmp_path: Path, variant: str, consumers: int
) -> None:
    random = Random(5)
    sent = dict.fromkeys(SYMBOLS, 0)

    def send(each: int) -> None:
        rows = [(symbol, made_trade(symbol, number, random))
                for symbol in SYMBOLS for number in range(sent[symbol] + 1, sent[symbol] + 1 + each)]  # fmt: skip
        sent.update({symbol: number + each for symbol, number in sent.items()})
        produce(kafka, rows)

    def the_lag_is_right(all_of: list[Variant], group: Group, waiting: int | None = None) -> Callable[[], bool]:
        def check() -> bool:
            count = group.waiting()
            return waiting in {None, count} and sum(one.metric(LAG) for one in all_of) == count

        return check

    with servers.database() as postgres, ExitStack() as stack:
        small = {"BATCH_TRADES": "200", "BATCH_MAX_TRADES": "200"}
        env = environment(kafka, postgres, tmp_path / "objects", SYMBOLS=",".join(SYMBOLS),
                          KAFKA_CONSUMER_GROUP=kafka.topic_trades, **small)  # fmt: skip
        group = Group(kafka)
        stack.callback(group.close)
        send(100)  # they are not merged at the start
        all_of = [stack.enter_context(running(servers, variant, f"lag-{number}", env)) for number in range(consumers)]
        wait = servers.supervisor.wait_until
        wait(the_lag_is_right(all_of, group, 0), START_SECONDS, "not all is merged")
        with database_unreachable(servers):
            for waiting in (1200, 6000, 6000 + 1200):
                send((waiting - group.waiting()) // len(SYMBOLS))
                assert group.waiting() == waiting
                wait(the_lag_is_right(all_of, group, waiting), TIMEOUT, f"the lag is not {waiting}")
            # The lag in seconds is the age of the oldest trade, and grows with the clock.
            wait(lambda: oldest(all_of) > 1, TIMEOUT, "the age is not known")
            before = oldest(all_of)
            wait(lambda: oldest(all_of) > before + 1, TIMEOUT, "the age does not grow")
            group.remove(50)
            assert group.waiting() == 7150
            wait(the_lag_is_right(all_of, group, 7150), TIMEOUT, "the lag counts deleted records")
        wait(the_lag_is_right(all_of, group, 0), TIMEOUT, "the rest is not merged")
        assert max(one.metric(AGE) for one in all_of) == 0


def oldest(all_of: list[Variant]) -> float:
    ages = [one.metric(AGE) for one in all_of]
    return -math.inf if any(map(math.isnan, ages)) else max(ages)
