"""Read the candles topic as a subscriber does, and the candles table in the form of its messages (a test oracle)."""

import json
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from jsonschema import Draft202012Validator

from crypto_analytics.runtime import kafka as clients
from tests.servers import ROOT, Broker

SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/contracts/candle.schema.json").read_text()))

# Text by PostgreSQL alone: no decimal and no time goes through Python.
_TABLE = """
select
    symbol || ':' || (extract(epoch from open_time) * 1000)::bigint,
    json_build_object(
        'schema_version', 1, 'symbol', symbol, 'interval', '1m',
        'open_time', (extract(epoch from open_time) * 1000)::bigint,
        'close_time', (extract(epoch from open_time) * 1000)::bigint + 59999,
        'open', open::text, 'high', high::text, 'low', low::text, 'close', close::text,
        'volume', volume::text, 'quote_volume', quote_volume::text, 'trade_count', trade_count,
        'taker_buy_volume', taker_buy_volume::text, 'taker_buy_quote_volume', taker_buy_quote_volume::text,
        'vwap', vwap::text, 'first_trade_id', first_trade_id, 'last_trade_id', last_trade_id,
        'is_complete', is_complete, 'verified_absent_count', verified_absent_count, 'revision', revision,
        'updated_at', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )
from fact_realtime_trades_1m
"""

Message = dict[str, object]


@dataclass
class TopicView:
    """All messages of the topic."""

    live: dict[int, dict[str, Message]] = field(default_factory=dict)
    """What compaction leaves of each partition: the last message of each key."""
    revisions: dict[str, list[int]] = field(default_factory=dict)
    """By symbol, in the order of the offsets."""
    partitions: dict[str, set[int]] = field(default_factory=dict)
    messages: int = 0
    tombstones: int = 0

    def add(self, number: int, key: str, value: bytes | None) -> None:
        symbol, colon, _ = key.partition(":")
        if not colon:
            return  # not a message of the publisher
        self.messages += 1
        live = self.live.setdefault(number, {})
        if value is None:
            self.tombstones += 1
            live.pop(key, None)
            return
        message = json.loads(value)
        live[key] = message
        self.partitions.setdefault(symbol, set()).add(number)
        self.revisions.setdefault(symbol, []).append(message["revision"])

    @property
    def latest(self) -> dict[str, Message]:
        """The last message of each key. Raises ValueError for a key that is in two partitions, which have no order."""
        merged: dict[str, Message] = {}
        for live in self.live.values():
            if both := merged.keys() & live.keys():
                raise ValueError(f"in two partitions: {sorted(both)}")
            merged |= live
        return merged


def read_topic(kafka: Broker) -> TopicView:
    """Return the messages of all partitions."""
    view = TopicView()
    client = clients.consumer(kafka.settings(), "reader-of-candles", **{"enable.partition.eof": True})
    try:
        numbers = list(client.list_topics(kafka.topic_candles, 10).topics[kafka.topic_candles].partitions)
        client.assign([TopicPartition(kafka.topic_candles, number, OFFSET_BEGINNING) for number in numbers])
        left = set(numbers)
        while left:
            for message in client.consume(1_000, 0.1):
                if (error := message.error()) is None:
                    view.add(message.partition(), message.key().decode(), message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        client.close()
    return view


def table_messages(connection: psycopg.Connection) -> dict[str, Message]:
    """Return the message that each candle of the table should have, by key."""
    return dict(connection.execute(_TABLE).fetchall())
