"""The raw archive: object keys, retries of uploads, reuse of objects, and exact values."""

import gzip
import json
import re
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.core.bytes_column import BytesColumn
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.jobs.orphan_cleanup.orphans import GRACE
from crypto_analytics.store.archive import HOUR, REUSE_SECONDS, RawArchive, RawObject, Uploads, encode
from tests.stores import MemoryStore

START = 490_000 * HOUR  # 2025-11-24 16:00


def trade(trade_id: int, time: int) -> Trade:
    return Trade(trade_id, trade_id, 1, 1, time, False, b'{"t":%d}' % trade_id)


def written(archive: RawArchive, batch: dict[str, TradeColumns], uploads: Uploads, now: float = 0) -> list[RawObject]:
    archive.write(batch, uploads, now)
    objects = uploads.written(batch, now)
    assert objects is not None
    return objects


class FailingStore(MemoryStore):
    """Counts puts, and fails those whose number is in ``failing``."""

    def __init__(self, *failing: int) -> None:
        super().__init__()
        self.failing = failing
        self.puts: list[str] = []

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.puts.append(key)
        if len(self.puts) in self.failing:
            raise TimeoutError("the store is slow")
        super().put(bucket, key, data)


def test_object_keys_contain_symbol_date_and_hour() -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = {
        "BTCUSDT": TradeColumns.of([trade(7, START + 5), trade(9, START + HOUR), trade(8, START + HOUR - 1)]),
        "ETHUSDT": TradeColumns.of([trade(1, START)]),
    }
    objects = written(archive, batch, Uploads())
    keys = [re.sub("[0-9a-f]{12}", "T", item.key) for item in objects]
    assert keys == [
        "trades/symbol=BTCUSDT/date=2025-11-24/hour=16/7-8-T.jsonl.gz",
        "trades/symbol=BTCUSDT/date=2025-11-24/hour=17/9-9-T.jsonl.gz",
        "trades/symbol=ETHUSDT/date=2025-11-24/hour=16/1-1-T.jsonl.gz",
    ]
    assert [archive.read(item.key) for item in objects] == [[b'{"t":7}', b'{"t":8}'], [b'{"t":9}'], [b'{"t":1}']]
    assert [(item.first_id, item.last_id, item.value_count) for item in objects] == [(7, 8, 2), (9, 9, 1), (1, 1, 1)]
    assert all(item.byte_count == len(archive.store.get("raw", item.key)) for item in objects)


def test_another_batch_never_touches_the_objects_of_the_first() -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = {"BTCUSDT": TradeColumns.of([trade(1, START)])}
    assert written(archive, batch, Uploads())[0].key != written(archive, batch, Uploads())[0].key


def test_an_attempt_resumes_where_the_previous_one_failed() -> None:
    store = FailingStore(4)
    archive = RawArchive(store, "raw", writers=1)
    batch = {f"S{number}": TradeColumns.of([trade(1, START)]) for number in range(6)}
    uploads = Uploads()
    with pytest.raises(TimeoutError):
        archive.write(batch, uploads, now=0)
    assert uploads.written(batch, now=0) is None
    failed = store.puts[3]
    objects = written(archive, batch, uploads)
    # A failed put may still have stored the object: only this put is repeated, under the same key.
    assert Counter(store.puts) == Counter([item.key for item in objects] + [failed])
    assert sorted(item.key for item in store.list("raw")) == sorted(item.key for item in objects)


def test_an_object_is_reused_only_for_exactly_its_trades() -> None:
    store = FailingStore()
    archive = RawArchive(store, "raw")
    three_trades = [trade(1, START), trade(2, START), trade(3, START)]
    other = three_trades[1]._replace(raw=b'{"t":2,"x":1}')
    uploads = Uploads()
    (first,) = written(archive, {"BTCUSDT": TradeColumns.of(three_trades)}, uploads)
    assert written(archive, {"BTCUSDT": TradeColumns.of(three_trades)}, uploads) == [first]
    for trades in (three_trades[::2], [three_trades[0], other, three_trades[2]]):
        batch = {"BTCUSDT": TradeColumns.of(trades)}
        assert uploads.written(batch, 0) is None
        (item,) = written(archive, batch, uploads)
        assert item.key != first.key
        assert archive.read(item.key) == [one.raw for one in trades]
    assert archive.read(first.key) == [one.raw for one in three_trades]
    assert uploads.keys == set(store.puts)


def test_an_object_that_the_orphan_cleanup_could_delete_is_not_listed() -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = {"BTCUSDT": TradeColumns.of([trade(1, START)])}
    uploads = Uploads()
    (first,) = written(archive, batch, uploads, now=1000)
    assert uploads.written(batch, now=1000 + REUSE_SECONDS - 1) == [first]
    assert uploads.written(batch, now=1000 + REUSE_SECONDS) is None
    (second,) = written(archive, batch, uploads, now=1000 + REUSE_SECONDS)
    assert second.key != first.key
    assert timedelta(seconds=2 * REUSE_SECONDS) <= GRACE


def test_objects_that_cannot_be_deleted_are_counted() -> None:
    class AddOnly(MemoryStore):
        def delete(self, bucket: str, key: str) -> None:
            raise PermissionError(key)

    store = MemoryStore()
    store.put("raw", "a", b"")
    assert RawArchive(store, "raw").discard({"a", "b"}) == 0
    assert list(store.list("raw")) == []
    assert RawArchive(AddOnly(), "raw").discard({"a", "b"}) == 2


def test_a_value_that_spans_lines_takes_one_line() -> None:
    event = {"e": "trade", "s": "BTCUSDT", "t": 1, "p": "1", "q": "2", "T": 1_767_571_200_000, "m": True}
    values = [
        json.dumps(event, separators=(",", ":")).encode(),
        json.dumps(event | {"t": 2}, indent=2).encode() + b"\r\n",
    ]
    decoded = decode_batch(values, Rules(frozenset({"BTCUSDT"}), 2**60))
    lines = gzip.decompress(encode(decoded.trades.raws)).split(b"\n")
    assert lines == [values[0], values[0].replace(b':1,"p"', b':2,"p"'), b""]


@given(st.lists(st.dictionaries(st.text(), st.text()), min_size=1))
def test_values_are_read_as_received(rows: list[dict[str, str]]) -> None:
    values = [json.dumps(row).encode() for row in rows]
    store = MemoryStore()
    store.put("raw", "x", encode(BytesColumn.of(values)))
    assert RawArchive(store, "raw").read("x") == values
