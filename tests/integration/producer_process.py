"""Run the producer as a process, and read the topics that it writes."""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.runtime.kafka import client_config
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK, free_port
from tests.servers import Broker, Servers, SimulatedExchange, service
from tests.stub_server import serving

TIMEOUT = 60
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


@dataclass
class Trades:
    """The records of the trades topic; each read continues at the end of the last one."""

    broker: Broker
    ids: dict[str, IdRanges] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._consumer = Consumer(client_config(self.broker.settings()) | {"group.id": "reader-test"})
        topic = self.broker.topic_trades
        partitions = self._consumer.list_topics(topic).topics[topic].partitions
        self._partitions = [TopicPartition(topic, number, 0) for number in partitions]
        self._consumer.assign(self._partitions)

    def close(self) -> None:
        self._consumer.close()

    def look(self) -> None:
        """Read the records up to the present end of the topic, and perhaps newer ones."""
        end = sum(self._consumer.get_watermark_offsets(partition)[1] for partition in self._partitions)
        while self.sources.total() < end:
            for message in self._consumer.consume(10_000, 0.2):
                assert message.error() is None
                value = message.value()
                assert value is not None
                event = msgspec.json.decode(value)
                first, last = (event["t"], event["t"]) if event["e"] == "trade" else (event["f"], event["l"])
                headers = dict(message.headers() or [])
                assert message.key() == event["s"].encode()
                assert int(headers["received_at"]) > 1_700_000_000_000_000
                self.sources[headers["source"].decode()] += 1
                self.ids.setdefault(event["s"], IdRanges()).add(first, last)
                self.values.setdefault((event["s"], first), value)

    def hold_all_of(self, exchange: SimulatedExchange) -> bool:
        """Whether the topic has every trade that the simulator streamed, and the simulator has finished."""
        self.look()
        status: Any = exchange.status()
        return status["state"] == "done" and all(
            self.ids.get(symbol, IdRanges()).covers(play["first_id"], play["final_id"])
            for symbol, play in status["symbols"].items()
        )


def dead_letters(broker: Broker) -> list[tuple[bytes, dict[str, str]]]:
    consumer = Consumer(client_config(broker.settings()) | {"group.id": "reader-test"})
    part = TopicPartition(broker.topic_dlq, 0, 0)
    consumer.assign([part])
    total = consumer.get_watermark_offsets(part)[1]
    letters: list[tuple[bytes, dict[str, str]]] = []
    while len(letters) < total:
        letters += [(m.value() or b"", {k: v.decode() for k, v in m.headers() or []}) for m in consumer.consume(99, 5)]
    consumer.close()
    return letters


@dataclass
class Running:
    """A producer under the supervisor, with its metrics port."""

    name: str
    servers: Servers
    port: int

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def until(self, condition: Callable[[], bool], otherwise: str) -> None:
        try:
            self.servers.supervisor.wait_until(condition, TIMEOUT, otherwise, every=0.1)
        except Problem as problem:
            problem.add_note(self.log()[-4000:])
            raise

    def log(self) -> str:
        return self.servers.supervisor.log_of(self.name).read_text()


@contextmanager
def producing(
    servers: Servers, name: str, broker: Broker, exchange: SimulatedExchange, **changes: str
) -> Iterator[Running]:
    port = free_port()
    env = {**broker.env(), **exchange.env(), "SYMBOLS": ",".join(SYMBOLS), "METRICS_PORT": str(port),
           "STALL_SECONDS": "0.5", "BINANCE_WEIGHT_LIMIT": "1000000", "MAX_FUTURE_SECONDS": "0", **changes}  # fmt: skip
    servers.supervisor.start(service(name, "producer", env))
    try:
        yield Running(name, servers, port)
    finally:
        servers.supervisor.stop(name)


def inject(exchange: SimulatedExchange, *scripted: Mapping[str, object]) -> None:
    """Inject faults into the simulator's stream now."""
    request = urllib.request.Request(f"{exchange.rest_url}/sim/faults", faults(*scripted).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def faults(*scripted: Mapping[str, object]) -> str:
    return json.dumps(scripted)


@contextmanager
def refusing(status: int) -> Iterator[int]:
    """Serve ``status`` to every request; yield the port."""

    class Refusal(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(ThreadingHTTPServer((LOOPBACK, 0), Refusal)) as server:
        yield server.server_port
