"""The messages of the topic: key, value and partition of a candle. Pure.

docs/contracts/candles.md describes them, docs/contracts/candle.schema.json is their JSON Schema.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from crypto_analytics.core.minutes import MINUTE, SECOND, to_datetime
from crypto_analytics.store.candle_changes import CandleChange

SCHEMA_VERSION = 1

_MILLISECOND = 1_000
_CLOSE_AFTER_MS = MINUTE // _MILLISECOND - 1


class CandleMessage(msgspec.Struct, frozen=True):
    """The value of a message; the fields are encoded in this order. From ``open`` on it is that of CandleChange."""

    schema_version: int
    symbol: str
    interval: Literal["1m"]
    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trade_count: int
    taker_buy_volume: str
    taker_buy_quote_volume: str
    vwap: str
    first_trade_id: int
    last_trade_id: int
    is_complete: bool
    verified_absent_count: int
    revision: int
    updated_at: str


class Published(msgspec.Struct, frozen=True):
    """What the publisher reads of a message that was published before; the defaults are those of an unknown form."""

    schema_version: int = 0
    revision: int = 0
    updated_at: str = ""


class CandleKey(NamedTuple):
    """Symbol and open time (microseconds) of a candle."""

    symbol: str
    open_time: int


_encoder = msgspec.json.Encoder()
_published = msgspec.json.Decoder(Published)


def key(symbol: str, open_time: int) -> bytes:
    """Return the key of the candle's messages: ``BTCUSDT:1767571200000``, the open time in milliseconds."""
    return f"{symbol}:{open_time // _MILLISECOND}".encode()


def parse_key(value: bytes) -> CandleKey | None:
    """Return the symbol and the open time of a key; None for a key of another form, which this program never wrote."""
    try:
        symbol, open_time = value.decode().split(":")
        return CandleKey(symbol, int(open_time) * _MILLISECOND)
    except ValueError:
        return None


def value(change: CandleChange) -> bytes:
    """Return the value of the candle's message."""
    open_time, updated_at = change.open_time // _MILLISECOND, time_text(change.updated_at)
    message = CandleMessage(
        SCHEMA_VERSION, change.symbol, "1m", open_time, open_time + _CLOSE_AFTER_MS, *change[2:17], updated_at
    )
    return _encoder.encode(message)


def parse_value(value: bytes) -> Published:
    """Return the revision of a published message; a value of an unknown form has revision 0."""
    try:
        return _published.decode(value)
    except msgspec.MsgspecError:
        return Published()


def time_text(microseconds: int) -> str:
    """Return a time in UTC as ISO 8601 with microseconds: ``2026-01-05T00:00:01.000250Z``."""
    second, fraction = divmod(microseconds, SECOND)
    return f"{_second_text(second)}.{fraction:06}Z"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return to_datetime(second * SECOND).isoformat().removesuffix("+00:00")


@lru_cache(maxsize=4096)
def partition(symbol: str, count: int) -> int:
    """Return the partition of a new symbol's messages: that of the key ``symbol`` in a topic of ``count`` partitions.

    Kafka's clients put a key into this partition by default, and the producer of the trades does. Here the key is
    longer, but the changes of one symbol must stay in order.
    """
    return (_murmur2(symbol.encode()) & 0x7FFFFFFF) % count


def _murmur2(data: bytes) -> int:
    """Return the hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    result = 0x9747B28C ^ len(data)
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        result = result * multiplier & mask ^ part
    if rest := data[whole:]:
        result = (result ^ int.from_bytes(rest, "little")) * multiplier & mask
    result = (result ^ result >> 13) * multiplier & mask
    return result ^ result >> 15
