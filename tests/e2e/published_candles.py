"""Compare the topic crypto.candles.1m with the table: the newest message of each candle is the candle."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition
from psycopg.rows import dict_row

from crypto_analytics.runtime.kafka import client_config
from tests.e2e.platforms import Platform
from tests.e2e.waiting import wait_until

TOPIC = "crypto.candles.1m"
_DECIMALS = (
    "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "vwap",
)  # fmt: skip
_OTHERS = ("trade_count", "first_trade_id", "last_trade_id", "is_complete", "verified_absent_count", "revision")
_SECONDS = 60
_ROWS = """
select symbol || ':' || (extract(epoch from open_time) * 1000)::bigint as key, *
from fact_realtime_trades_1m where symbol = any(%s)
"""
Messages = dict[str, dict[str, Any]]


def verify_published(platform: Platform, symbols: Sequence[str]) -> int:
    """Check that the topic agrees with the table for ``symbols``; return the number of candles.

    The table is read once. A candle that has changed since then may be newer in the topic, never older.

    Raises:
        AssertionError: the topic lacks a candle, has one that the table lacks, or other values of the same revision.
    """
    with platform.postgres("reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = {row["key"]: row for row in cursor.execute(_ROWS, (list(symbols),))}
    assert rows, f"the table has no candle of {', '.join(symbols)}"

    def current() -> Messages:
        found = read_newest(platform, symbols)
        return found if all(_revision(found, key) >= row["revision"] for key, row in rows.items()) else {}

    found = wait_until(current, _SECONDS, f"the changes of {', '.join(symbols)} are published")
    newest = max(row["revision"] for row in rows.values())
    assert {key for key, message in found.items() if message["revision"] <= newest} <= set(rows)
    same = [key for key, row in rows.items() if found[key]["revision"] == row["revision"]]
    assert len(same) >= len(rows) - len(symbols), "more than the open candles have changed meanwhile"
    for key in same:
        message, row = found[key], rows[key]
        assert {name: Decimal(message[name]) for name in _DECIMALS} == {name: row[name] for name in _DECIMALS}, key
        assert {name: message[name] for name in _OTHERS} == {name: row[name] for name in _OTHERS}, key
    return len(rows)


def read_newest(platform: Platform, symbols: Sequence[str]) -> Messages:
    """Return the newest message of each candle of ``symbols`` by its key, without the candles that were removed."""
    consumer = Consumer(
        client_config(platform.kafka("reader")) | {"group.id": "reader-e2e", "enable.auto.commit": False}
    )
    found: Messages = {}
    try:
        numbers = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        ends = {}
        for number in numbers:
            low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=10)
            if high > low:
                ends[number] = high
        consumer.assign([TopicPartition(TOPIC, number, 0) for number in ends])
        while ends:
            for message in consumer.consume(1000, 0.5):
                if message.error() is not None:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    continue
                _add(found, message.key().decode(), message.value(), symbols)
            # Compaction never removes the last record of a partition, so its end is reached by a message.
            at = {part.partition: part.offset for part in consumer.position([TopicPartition(TOPIC, n) for n in ends])}
            ends = {number: end for number, end in ends.items() if at[number] < end}
    finally:
        consumer.close()
    return found


def _add(found: Messages, key: str, value: bytes | None, symbols: Sequence[str]) -> None:
    if key.partition(":")[0] not in symbols:
        return
    if value is None:
        found.pop(key, None)
    else:
        found[key] = msgspec.json.decode(value)


def _revision(found: Messages, key: str) -> int:
    return int(found[key]["revision"]) if key in found else -1
