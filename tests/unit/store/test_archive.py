import gzip
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.wire import Rules, decode_batch
from crypto_analytics.core.lines import Lines
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import HOUR, RawArchive, encode
from crypto_analytics.store.objects import MemoryStore

START = 490_000 * HOUR  # 2025-11-24 16:00


def trade(trade_id: int, time: int) -> Trade:
    return Trade(trade_id, trade_id, 1, 1, time, False, b'{"t":%d}' % trade_id)


def test_objects_are_laid_out_by_symbol_date_and_hour() -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = {
        "BTCUSDT": TradeColumns.of([trade(7, START + 5), trade(9, START + HOUR), trade(8, START + HOUR - 1)]),
        "ETHUSDT": TradeColumns.of([trade(1, START)]),
    }
    written = archive.write(batch)
    keys = [re.sub("[0-9a-f]{12}", "T", item.key) for item in written]
    assert keys == [
        "trades/symbol=BTCUSDT/date=2025-11-24/hour=16/7-8-T.jsonl.gz",
        "trades/symbol=BTCUSDT/date=2025-11-24/hour=17/9-9-T.jsonl.gz",
        "trades/symbol=ETHUSDT/date=2025-11-24/hour=16/1-1-T.jsonl.gz",
    ]
    assert [archive.read(item.key) for item in written] == [[b'{"t":7}', b'{"t":8}'], [b'{"t":9}'], [b'{"t":1}']]
    assert [(item.first_id, item.last_id, item.value_count) for item in written] == [(7, 8, 2), (9, 9, 1), (1, 1, 1)]
    assert all(item.byte_count == len(archive.store.get("raw", item.key)) for item in written)


def test_a_second_try_never_touches_the_first_ones_objects() -> None:
    archive = RawArchive(MemoryStore(), "raw")
    batch = {"BTCUSDT": TradeColumns.of([trade(1, START)])}
    assert archive.write(batch)[0].key != archive.write(batch)[0].key


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
def test_values_come_back_as_received(rows: list[dict[str, str]]) -> None:
    values = [json.dumps(row).encode() for row in rows]
    store = MemoryStore()
    store.put("raw", "x", encode(Lines.of(values)))
    assert RawArchive(store, "raw").read("x") == values
