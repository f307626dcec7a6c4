"""Compare the stores of the streaming half with a recomputation in plain Python from the raw objects.

Only the newest hours are checked. PostgreSQL is read in one transaction, and each batch commits in one, so candles, ids
and the list of objects are consistent, however fast trades come in meanwhile.
"""

import gzip
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import NamedTuple, TypeVar

import msgspec
import psycopg
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from crypto_analytics.runtime.kafka import client_config
from tests.e2e.platforms import Platform
from tests.e2e.waiting import wait_until
from tests.oracle import Candle, Key, Oracle, stored_candles, stored_completeness

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
GROUP = "crypto-candles"
WINDOW = timedelta(hours=1)
Row = TypeVar("Row")
_EIGHT = Decimal("0.00000001")
_KLINE = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Stored:
    """A snapshot of PostgreSQL's rows of some symbols since a whole hour."""

    since: datetime
    candles: dict[Key, Candle]
    complete: dict[Key, bool]
    vwap: dict[Key, Decimal]
    ranges: dict[str, list[tuple[int, int]]]
    objects: list[str]


class Verified(NamedTuple):
    """The numbers of checked rows and values."""

    trades: int
    candles: int
    complete: int
    official: int


def window_start() -> datetime:
    """Return the whole hour from which on rows are checked."""
    return (datetime.now(UTC) - WINDOW).replace(minute=0, second=0, microsecond=0)


_GAPS = """
select symbol, first_missing_id, last_missing_id
from trade_id_gaps as gap
where symbol = any(%(symbols)s) and last_missing_id > (
    select min(first_id) from raw_objects as object where object.symbol = gap.symbol and hour >= %(since)s
)
"""


def gaps(connection: psycopg.Connection, symbols: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the gaps of ``symbols`` in the newest hours."""
    return connection.execute(_GAPS, {"symbols": list(symbols), "since": window_start()}).fetchall()


def merged_up_to(connection: psycopg.Connection, symbols: Sequence[str]) -> dict[str, int]:
    """Return the highest merged trade id of each of ``symbols`` with merged trades."""
    query = "select symbol, max(last_id) from trade_id_ranges where symbol = any(%s) group by symbol"
    return dict(connection.execute(query, (list(symbols),)).fetchall())


def complete_minutes(platform: Platform, symbols: Sequence[str]) -> int:
    """Return the smallest number of complete candles among ``symbols``."""
    query = "select symbol, complete_candles from completeness where symbol = any(%s)"
    with platform.postgres("reader") as connection:
        found = dict(connection.execute(query, (list(symbols),)).fetchall())
    return min(found.get(symbol, 0) for symbol in symbols)


def streamed_up_to(platform: Platform) -> dict[str, int]:
    """Return the newest trade id of each symbol that the simulator has streamed."""
    symbols = platform.exchange.get("/sim/status")["symbols"]
    return {symbol: its["last_id"] for symbol, its in symbols.items() if its["last_id"] is not None}


def wait_caught_up(platform: Platform, symbols: Sequence[str], seconds: float = 180) -> None:
    """Wait until all trades that the simulator has streamed so far are merged, without a gap."""

    def streamed() -> dict[str, int]:
        up_to = streamed_up_to(platform)
        return up_to if set(symbols) <= set(up_to) else {}

    targets = wait_until(streamed, seconds, f"the simulator streams {', '.join(symbols)}")

    def caught_up() -> bool:
        with platform.postgres("reader") as connection:
            merged = merged_up_to(connection, symbols)
            return all(merged.get(symbol, 0) >= targets[symbol] for symbol in symbols) and not gaps(connection, symbols)

    wait_until(caught_up, seconds, f"the trades of {', '.join(symbols)} are merged without a gap")


def wait_consumed(platform: Platform, seconds: float = 120) -> None:
    """Wait until the variants have committed all present records of the trades topic."""
    settings = platform.kafka("reader")
    admin = AdminClient(client_config(settings))
    topic = settings.KAFKA_TOPIC_TRADES
    partitions = [TopicPartition(topic, number) for number in admin.list_topics(topic, 10).topics[topic].partitions]
    ends = admin.list_offsets({partition: OffsetSpec.latest() for partition in partitions}, request_timeout=10)
    wanted = {partition.partition: future.result(10).offset for partition, future in ends.items()}

    def committed() -> bool:
        (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)]).values()
        offsets = {at.partition: at.offset for at in future.result(10).topic_partitions if at.topic == topic}
        return all(offsets.get(partition, 0) >= end for partition, end in wanted.items() if end > 0)

    wait_until(committed, seconds, f"the group {GROUP} has committed the offsets {wanted}")


def read_stored(connection: psycopg.Connection, symbols: Sequence[str], since: datetime) -> Stored:
    """Return PostgreSQL's rows of ``symbols`` from the whole hour ``since`` on."""

    def of_window(rows: dict[Key, Row]) -> dict[Key, Row]:
        return {key: value for key, value in rows.items() if key[0] in symbols and key[1] >= since}

    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        parameters = (list(symbols), since)
        objects = connection.execute(
            "select object_key from raw_objects where symbol = any(%s) and hour >= %s order by object_key", parameters
        ).fetchall()
        vwaps = connection.execute(
            "select symbol, open_time, vwap from fact_realtime_trades_1m where symbol = any(%s) and open_time >= %s",
            parameters,
        ).fetchall()
        ranges: dict[str, list[tuple[int, int]]] = {}
        query = "select symbol, first_id, last_id from trade_id_ranges where symbol = any(%s) order by symbol, first_id"
        for symbol, first, last in connection.execute(query, (list(symbols),)):
            ranges.setdefault(symbol, []).append((first, last))
        return Stored(
            since=since,
            candles=of_window(stored_candles(connection)),
            complete=of_window(stored_completeness(connection)),
            vwap={(symbol, time): vwap for symbol, time, vwap in vwaps},
            ranges=ranges,
            objects=[key for (key,) in objects],
        )


def read_values(platform: Platform, keys: Iterable[str]) -> list[bytes]:
    """Return the archived values of the raw objects ``keys``."""
    store = platform.objects("reader")
    with ThreadPoolExecutor(4) as pool:
        contents = pool.map(lambda key: gzip.decompress(store.get("raw", key)).split(b"\n")[:-1], keys)
        return [value for values in contents for value in values]


def official_klines(platform: Platform, symbols: Sequence[str], since: datetime) -> dict[Key, list[str]]:
    """Return the closed one-minute klines of the simulator's REST API, which shares no code with the candles."""
    start = int(since.timestamp() * 1000)
    now = platform.exchange.get("/api/v3/time")["serverTime"]
    return {
        (symbol, datetime.fromtimestamp(row[0] / 1000, UTC)): row
        for symbol in symbols
        for row in platform.exchange.get(f"/api/v3/klines?symbol={symbol}&interval=1m&limit=1000&startTime={start}")
        if row[6] < now
    }


def verify(platform: Platform, symbols: Sequence[str], klines: dict[Key, list[str]] | None = None) -> Verified:
    """Check archive, ids, candles and completeness of ``symbols`` against each other and against the klines.

    ``klines`` are those of the simulator, for a simulator that has been changed since.

    Raises:
        AssertionError: a trade is lost or counted twice, or a value differs.
    """
    with platform.postgres("reader") as connection:
        stored = read_stored(connection, symbols, window_start())
    if klines is None:
        klines = official_klines(platform, symbols, stored.since)
    values = read_values(platform, stored.objects)
    archived = _archived_ids(values)
    assert set(archived) == set(symbols)
    for symbol, ids in archived.items():
        _check_ids(symbol, ids, stored.ranges[symbol])
    oracle = Oracle()
    oracle.add_values(values)
    assert {key: _texts(candle) for key, candle in stored.candles.items()} == {
        key: _texts(candle) for key, candle in oracle.candles.items()
    }
    for key, candle in stored.candles.items():
        exact = candle["quote_volume"] / candle["volume"]
        assert stored.vwap[key] == exact.quantize(_EIGHT, ROUND_HALF_UP), f"vwap of {key}"
    _check_completeness(stored, oracle)
    official = [key for key, complete in stored.complete.items() if complete and key in klines]
    for key in official:
        _check_kline(key, oracle.candles[key], klines[key])
    # An aggregated trade, which repairs a long gap, is one value and several trades.
    trades = sum(last - first + 1 for ids in archived.values() for first, last in ids)
    return Verified(trades, len(stored.candles), sum(stored.complete.values()), len(official))


def dead_letters(platform: Platform) -> list[str]:
    """Return the reasons of all dead letters, up to a hundred."""
    settings = platform.kafka("reader")
    consumer = Consumer(client_config(settings) | {"group.id": "reader-e2e", "enable.auto.commit": False})
    try:
        partition = TopicPartition(settings.KAFKA_TOPIC_DLQ, 0, 0)
        low, high = consumer.get_watermark_offsets(partition, timeout=10)
        partition.offset = low
        consumer.assign([partition])
        if high == low:
            return []
        messages = consumer.consume(min(high - low, 100), 10)
        assert messages, f"{high - low} dead letters cannot be read"
        return [str(dict(message.headers() or []).get("reason")) for message in messages]
    finally:
        consumer.close()


class _Ids(msgspec.Struct):
    """The id fields of a trade (t) or of an aggregated one (f to l)."""

    e: str
    s: str
    t: int = 0
    f: int = 0
    l: int = 0  # noqa: E741  # the exchange's name


def _archived_ids(values: Iterable[bytes]) -> dict[str, list[tuple[int, int]]]:
    decode = msgspec.json.Decoder(_Ids).decode
    archived: dict[str, list[tuple[int, int]]] = {}
    for value in values:
        its = decode(value)
        archived.setdefault(its.s, []).append((its.t, its.t) if its.e == "trade" else (its.f, its.l))
    return archived


def _check_ids(symbol: str, ids: list[tuple[int, int]], ranges: list[tuple[int, int]]) -> None:
    """Each id is archived exactly once, no id is missing between the first and the last, and all are merged."""
    ids.sort()
    wrong = [(left, right) for left, right in pairwise(ids) if right[0] != left[1] + 1]
    assert not wrong, f"{symbol}: the archive is not contiguous in {len(wrong)} places: {wrong[:5]}"
    first, last = ids[0][0], ids[-1][1]
    assert any(low <= first and last == high for low, high in ranges), f"{symbol}: {first}..{last} not in {ranges}"


def _check_completeness(stored: Stored, oracle: Oracle) -> None:
    """A candle is marked complete exactly if it is; only a symbol's first and last minute may be incomplete."""
    first = {symbol: min(time for its, time in stored.candles if its == symbol) for symbol in stored.ranges}
    last = {symbol: max(time for its, time in stored.candles if its == symbol) for symbol in stored.ranges}
    for key, complete in stored.complete.items():
        symbol, time = key
        if time == first[symbol]:
            continue  # the minute before it belongs to another hour
        assert complete == oracle.is_complete(key), f"{key} says it is {'' if complete else 'not '}complete"
        assert complete or time == last[symbol], f"{key} is not complete"


def _check_kline(key: Key, candle: Candle, row: list[str]) -> None:
    volumes = {"volume": row[5], "taker_buy_volume": row[9]}
    assert {name: candle[name] for name in _KLINE} == dict(zip(_KLINE, map(Decimal, row[1:6]), strict=True)), key
    assert candle["trade_count"] == row[8], key
    assert all(candle[name] == Decimal(text) for name, text in volumes.items()), key
    for name, text in {"quote_volume": row[7], "taker_buy_quote_volume": row[10]}.items():
        # The exchange truncates price x quantity of each trade to 8 decimals before it sums them.
        assert 0 <= candle[name] - Decimal(text) < candle["trade_count"] * _EIGHT, f"{name} of {key}"


def _texts(candle: Candle) -> dict[str, str]:
    return {name: f"{value.normalize():f}" for name, value in candle.items()}
