"""Write the trades of an hour as Parquet, exactly and ordered by id."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crypto_analytics.exporter.parquet import TooManyDigits, encode
from crypto_analytics.exporter.trades import SCHEMA
from tests.unit.exporter.hours import file_of


def trade(trade_id: int, price: str, quantity: str, *, time: int = 1_767_571_200_123) -> bytes:
    event = {"e": "trade", "s": "BTCUSDT", "t": trade_id, "p": price, "q": quantity, "T": time, "m": trade_id % 2 == 0}
    return json.dumps(event).encode()


def test_trades_are_exact_and_in_the_order_of_their_ids() -> None:
    largest = "92233720368.54775807"
    aggregated = json.dumps(
        {"e": "aggTrade", "s": "BTCUSDT", "a": 1, "p": "0.10000000", "q": "3.00000000", "f": 4, "l": 6,
         "T": 1_767_571_200_123_456, "m": True}
    ).encode()  # fmt: skip
    data = file_of("BTCUSDT", [aggregated, trade(3, "0.00000001", largest), trade(2, largest, "0.30000000")])
    table = pq.read_table(pa.BufferReader(data))
    assert table.schema.equals(SCHEMA)
    assert table["first_trade_id"].to_pylist() == [2, 3, 4]
    assert table["last_trade_id"].to_pylist() == [2, 3, 6]
    assert table["price"].to_pylist() == [Decimal(largest), Decimal("0.00000001"), Decimal("0.10000000")]
    assert table["quantity"].to_pylist() == [Decimal("0.30000000"), Decimal(largest), Decimal("3.00000000")]
    assert table["buyer_is_maker"].to_pylist() == [True, False, True]
    assert table["trade_time"].to_pylist()[1:] == [
        datetime(2026, 1, 5, 0, 0, 0, 123_000, tzinfo=UTC),
        datetime(2026, 1, 5, 0, 0, 0, 123_456, tzinfo=UTC),
    ]


def test_an_archive_that_holds_something_else_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="1 archived values of BTCUSDT are no trades"):
        file_of("BTCUSDT", [trade(1, "1.00000000", "1.00000000"), b"{}"])


def test_a_value_of_more_digits_than_readers_hold_is_refused_not_rounded() -> None:
    schema = pa.schema([pa.field("quote_volume", pa.decimal128(38, 16))])
    largest = Decimal("9" * 22 + "." + "9" * 16)
    assert pq.read_table(pa.BufferReader(encode(schema, [[largest]])))["quote_volume"].to_pylist() == [largest]
    with pytest.raises(TooManyDigits, match=r"quote_volume.*cannot hold it exactly"):
        encode(schema, [[Decimal("1" + "0" * 22)]])
