"""DecodedRecords: joined parts and rejected values."""

from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.streaming.decoded_records import DecodedRecords
from tests.unit.trade_json import trade_json

RULES = Rules(frozenset({"BTCUSDT", "ETHUSDT"}), 2**60)


def records(*values: bytes) -> DecodedRecords:
    return DecodedRecords.of(values, lambda position: f"at {position}", RULES)


def test_joined_parts_equal_the_same_records_decoded_at_once() -> None:
    values = [trade_json(1), b"bad", trade_json(7, symbol="ETHUSDT"), trade_json(2), b"worse", trade_json(3)]
    joined = DecodedRecords.joined([records(*values[:3]), records(), records(*values[3:])])
    at_once = records(*values)
    assert len(joined) == len(at_once) == 6
    trades = {symbol: columns.rows() for symbol, columns in joined.decoded.by_symbol().items()}
    assert trades == {symbol: columns.rows() for symbol, columns in at_once.decoded.by_symbol().items()}
    assert {symbol: [(row.first_id, row.raw) for row in rows] for symbol, rows in trades.items()} == {
        "BTCUSDT": [(number, trade_json(number)) for number in (1, 2, 3)],
        "ETHUSDT": [(7, trade_json(7, symbol="ETHUSDT"))],
    }
    assert [position for position, _ in joined.decoded.bad] == [1, 4]
    assert [(refused.value, refused.origin) for refused in joined.rejected] == [(b"bad", "at 1"), (b"worse", "at 1")]


def test_rejected_values_count_as_records() -> None:
    refused = records(b"x", b"", b"{}")
    assert (len(refused), refused.decoded.by_symbol()) == (3, {})
    assert [error.reason for _, error, _ in refused.rejected] == ["not_json", "not_json", "wrong_shape"]
