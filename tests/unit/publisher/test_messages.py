"""Keys, values and partitions of the candle messages."""

import json
from uuid import uuid4

import pytest

from crypto_analytics.publisher import messages
from crypto_analytics.store.candle_changes import CandleChange
from tests.candle_topic import SCHEMA

OPEN_TIME = 1_767_571_200_000_000
CHANGE = CandleChange(
    symbol="BTCUSDT", open_time=OPEN_TIME, open="0.00000001", high="90000.10000000", low="0.00000001",
    close="12345678901234567890123456789.12345678", volume="1.00000000", quote_volume="0.0000000000000001",
    trade_count=3, taker_buy_volume="0.00000000", taker_buy_quote_volume="0.0000000000000000", vwap="0.00000000",
    first_trade_id=0, last_trade_id=2**53 + 1, is_complete=True, verified_absent_count=0, revision=2**53 + 1,
    updated_at=OPEN_TIME + 1,
)  # fmt: skip


def test_a_value_has_every_digit_and_the_published_form() -> None:
    found = json.loads(messages.value(CHANGE._replace(close="90000.00000000")))
    SCHEMA.validate(found)
    assert found == {
        "schema_version": 1, "symbol": "BTCUSDT", "interval": "1m",
        "open_time": 1_767_571_200_000, "close_time": 1_767_571_259_999,
        "open": "0.00000001", "high": "90000.10000000", "low": "0.00000001", "close": "90000.00000000",
        "volume": "1.00000000", "quote_volume": "0.0000000000000001", "trade_count": 3,
        "taker_buy_volume": "0.00000000", "taker_buy_quote_volume": "0.0000000000000000", "vwap": "0.00000000",
        "first_trade_id": 0, "last_trade_id": 2**53 + 1, "is_complete": True, "verified_absent_count": 0,
        "revision": 2**53 + 1, "updated_at": "2026-01-05T00:00:00.000001Z",
    }  # fmt: skip
    assert list(found) == list(SCHEMA.schema["properties"])


@pytest.mark.parametrize("change", [{"open": "1E-8"}, {"volume": "1.5"}, {"quote_volume": "-1.0000000000000000"}])
def test_the_schema_refuses_other_forms_of_a_decimal(change: dict[str, str]) -> None:
    message = json.loads(messages.value(CHANGE._replace(**change)))  # type: ignore[arg-type]
    assert not SCHEMA.is_valid(message)


def test_a_key_is_symbol_and_open_time_in_milliseconds() -> None:
    assert messages.key("BTCUSDT", OPEN_TIME) == b"BTCUSDT:1767571200000"
    for symbol in ("BTCUSDT", "1000SATS-USDT", "币安人生USDT"):
        assert messages.parse_key(messages.key(symbol, OPEN_TIME)) == (symbol, OPEN_TIME)
    for foreign in (b"", b"BTCUSDT", b"BTCUSDT:", b"a:1:2", b"BTCUSDT:now", b"\xff:1"):
        assert messages.parse_key(foreign) is None


def test_the_revision_is_read_from_a_value_and_is_0_in_an_unknown_form() -> None:
    assert messages.parse_value(messages.value(CHANGE)) == messages.Published(
        messages.SCHEMA_VERSION, CHANGE.revision, "2026-01-05T00:00:00.000001Z"
    )
    for unknown in (b"", b"no JSON", b"[]", b'{"schema_version":1,"revision":"many"}', b"\xff"):
        assert messages.parse_value(unknown).revision == 0


def test_partitions_are_spread_and_stable() -> None:
    symbols = [uuid4().hex for _ in range(3_000)]
    found = [messages.partition(symbol, 6) for symbol in symbols]
    assert {found.count(number) > 400 for number in range(6)} == {True}
    assert messages.partition("BTCUSDT", 1) == 0
