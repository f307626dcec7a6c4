"""Generate the load: trades in the exchange's format, about 150 bytes each, with consecutive ids per symbol."""

from collections.abc import Iterator, Sequence
from random import Random

from confluent_kafka import KafkaError, KafkaException, Message, Producer

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z


def trade_value(symbol: str, trade_id: int, time_ms: int, random: Random) -> bytes:
    """Return one trade in the format of the exchange's stream."""
    cents, lots = random.randrange(2_700_000, 2_712_000), random.randrange(1, 99_999)
    maker = "true" if random.random() < 0.5 else "false"
    return (
        f'{{"e":"trade","E":{time_ms + 1},"s":"{symbol}","t":{trade_id},"p":"{cents // 100}.{cents % 100:02}000000",'
        f'"q":"0.{lots:05}000","T":{time_ms},"m":{maker},"M":true}}'
    ).encode()


def trades(symbols: Sequence[str], count: int, per_second: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield (symbol, value) of ``count`` trades, ``per_second`` of them in each second of trade time."""
    random = Random(seed)
    for number in range(count):
        symbol = symbols[number % len(symbols)]
        trade_id = 1_000_001 + number // len(symbols)
        yield symbol, trade_value(symbol, trade_id, START_MS + number * 1000 // per_second, random)


def raise_failure(error: KafkaError | None, message: Message) -> None:
    """Raise the error of a record that Kafka refused from the producer's next ``poll`` or ``flush``."""
    if error is not None:
        raise KafkaException(error)


def flush(producer: Producer) -> None:
    """Wait until Kafka has acknowledged all records.

    Raises:
        KafkaException: Kafka refused a record.
        RuntimeError: records are not acknowledged after a minute.
    """
    if left := producer.flush(60):
        raise RuntimeError(f"Kafka did not acknowledge {left} records within a minute")


def produce(bootstrap: str, topic: str, rows: Iterator[tuple[str, bytes]]) -> None:
    """Write ``rows`` of (symbol, value) to ``topic`` with the settings of the producer service."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
        }
    )
    for symbol, value in rows:
        while True:
            try:
                producer.produce(topic, value=value, key=symbol, on_delivery=raise_failure)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    flush(producer)
