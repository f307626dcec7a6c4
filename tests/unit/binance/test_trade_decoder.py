"""Decode and validate trades: good values exactly, bad ones with a reason."""

import gc
import json
import weakref

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.trade_decoder import BadTrade, DecodedBatch, Rules, decode_batch, decode_one
from crypto_analytics.core.trades import Trade
from tests.unit.trade_json import trade_json

NOW = 1_741_046_500_000_000
RULES = Rules(frozenset({"TRXUSDT", "BTCUSDT"}), NOW)


def value(**changes: object) -> bytes:
    good = {"e": "trade", "E": 1741046401271969, "s": "TRXUSDT", "t": 348656870, "p": "0.2312", "q": "2619.4",
            "T": 1741046401271497, "m": True, "M": True}  # fmt: skip
    return json.dumps({name: its for name, its in (good | changes).items() if its != "absent"}).encode()


def agg(**changes: object) -> bytes:
    return value(**({"e": "aggTrade", "t": "absent", "a": 5, "f": 10, "l": 12} | changes))


def test_a_trade() -> None:
    raw = value()
    symbol, trade = decode_one(raw, RULES)
    assert symbol == "TRXUSDT"
    assert trade == Trade(348656870, 348656870, 23120000, 261940000000, 1741046401271497, True, raw)


def test_an_aggregated_trade_in_milliseconds() -> None:
    _, trade = decode_one(agg(T=1741046401271), RULES)
    assert (trade.first_id, trade.last_id, trade.time) == (10, 12, 1741046401271000)


@pytest.mark.parametrize(
    ("raw", "first", "last"),
    [(value(t=0), 0, 0), (agg(f=0, l=0), 0, 0), (agg(f=0, l=3), 0, 3), (trade_json(0, symbol="TRXUSDT"), 0, 0)],
)
def test_the_exchange_numbers_trades_from_zero(raw: bytes, first: int, last: int) -> None:
    _, trade = decode_one(raw, RULES)
    assert (trade.first_id, trade.last_id) == (first, last)
    batch = decode_batch([raw], RULES)
    assert (batch.bad, batch.trades.rows()) == ([], [trade])


def test_a_symbol_with_the_form_of_a_contract_is_followed_where_it_is_configured() -> None:
    rules = Rules(frozenset({"TRXUSDT_240329"}), NOW)
    assert decode_one(value(s="TRXUSDT_240329"), rules)[0] == "TRXUSDT_240329"


BAD = [
    (b"", "not_json"),
    (b"{", "not_json"),
    (b"\xff\xfe", "not_json"),
    (b'{"e":"trade","x":' + b"[" * 500_000, "not_json"),
    (b"[]", "wrong_shape"),
    (b"null", "wrong_shape"),
    (b"{}", "wrong_shape"),
    (value(e="absent"), "wrong_shape"),
    (value(e=""), "wrong_shape"),
    (value() + value(), "not_json"),
    (value(e="kline"), "wrong_shape"),
    (value(t="348656870"), "wrong_shape"),
    (value(t=1.5), "wrong_shape"),
    (value(t=2**70), "bad_id"),
    (value(p=0.2312), "wrong_shape"),
    (value(m="true"), "wrong_shape"),
    (value(q="absent"), "wrong_shape"),
    (value(s="DOGEUSDT"), "unknown_symbol"),
    (value(s="trxusdt"), "unknown_symbol"),
    (value(X="INSURANCE_FUND"), "futures"),
    (value(X="INSURANCE_FUND", p="0"), "futures"),
    (value(X="MARKET", M="absent"), "futures"),
    (value(X=None), "futures"),
    (value(ps="TRXUSD"), "futures"),
    (agg(nq="2619.4"), "futures"),
    (value(s="TRXUSD_PERP"), "futures"),
    (value(s="TRXUSDT_240329"), "futures"),
    (agg(s="TRXUSDT_240329"), "futures"),
    (value(t=-1), "bad_id"),
    (value(t=2**53 + 1), "bad_id"),
    (agg(f=12, l=10), "bad_id"),
    (agg(f=-1, l=-1), "bad_id"),
    (agg(f=-1, l=0), "bad_id"),
    (agg(f=1, l=10**9), "bad_id"),
    (value(p="-1.0"), "bad_price"),
    (value(p="0.00000000"), "bad_price"),
    (value(p="0." + "1" * 30), "bad_price"),
    (value(p="1e5"), "bad_price"),
    (value(p="99999999999999999999"), "bad_price"),
    (value(q="-3"), "bad_quantity"),
    (value(q="0"), "bad_quantity"),
    (value(q="NaN"), "bad_quantity"),
    (value(T=NOW + 1), "bad_time"),
    (value(T=NOW * 1000), "bad_time"),
    (value(T=0), "bad_time"),
    (value(T=-1), "bad_time"),
]


@pytest.mark.parametrize(("raw", "reason"), BAD)
def test_a_bad_value_has_a_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(BadTrade) as caught:
        decode_one(raw, RULES)
    assert caught.value.reason == reason
    assert caught.value.detail


# 0 is the first id of each symbol, and small ids are those of a new listing.
ids = st.one_of(st.integers(0, 3), st.integers(0, 2**53))
good_values = st.builds(
    value,
    s=st.sampled_from(["TRXUSDT", "BTCUSDT"]),
    t=ids,
    p=st.sampled_from(["0.2312", "27123.45000000", "1"]),
    T=st.sampled_from([1741046401271, 1741046401271497]),
    m=st.booleans(),
)
aggregates = st.builds(agg, f=st.integers(-1, 10), l=st.integers(-1, 12))
any_values = st.one_of(good_values, aggregates, st.sampled_from([raw for raw, _ in BAD]))


@given(st.one_of(st.lists(good_values, max_size=20), st.lists(any_values, max_size=20)))
def test_decode_batch_agrees_with_decode_one(values: list[bytes]) -> None:
    batch = decode_batch(values, RULES)
    expected: dict[str, list[Trade]] = {}
    bad = []
    for position, raw in enumerate(values):
        try:
            symbol, trade = decode_one(raw, RULES)
        except BadTrade as error:
            bad.append((position, error.reason))
        else:
            expected.setdefault(symbol, []).append(trade)
    assert {symbol: columns.rows() for symbol, columns in batch.by_symbol().items()} == expected
    assert [(position, error.reason) for position, error in batch.bad] == bad


@pytest.mark.parametrize("latest", [2**62, 10**16])
def test_a_bad_time_is_reported_whatever_the_limit(latest: int) -> None:
    with pytest.raises(BadTrade, match="bad_time"):
        decode_one(value(T=0), Rules(RULES.symbols, latest))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_rejected(raw: bytes) -> None:
    with pytest.raises(BadTrade):
        decode_one(raw, RULES)


def test_a_value_that_spans_lines_is_archived_as_one() -> None:
    spread = msgspec.json.format(value(t=7), indent=2)
    assert decode_one(spread + b"\r\n", RULES)[1].raw == msgspec.json.format(value(t=7), indent=-1)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_nesting_too_deep_for_the_formatter_is_rejected(depth: int) -> None:
    deep = value()[:-1] + b',"x":' + b"[" * depth + b"\n" + b"]" * depth + b"}"
    batch = decode_batch([deep], RULES)
    assert len(batch.trades) + len(batch.bad) == 1


@given(st.lists(st.one_of(good_values, any_values), max_size=12))
def test_joined_batches_equal_one_decoded_at_once(values: list[bytes]) -> None:
    whole, pieces = decode_batch(values, RULES), [decode_batch(values[at : at + 3], RULES) for at in range(0, 12, 3)]
    joined = DecodedBatch.joined(pieces)
    assert joined.count == len(values)
    assert (joined.symbols, joined.starts) == (whole.symbols, whole.starts)
    assert joined.trades.rows() == whole.trades.rows()
    assert [(at, str(error)) for at, error in joined.bad] == [(at, str(error)) for at, error in whole.bad]


def test_an_error_does_not_keep_the_batch_alive() -> None:
    class Values(list[bytes]):
        """A list that supports weak references."""

    values = Values([value(), b"bad", value(t=-1)])
    gone = weakref.ref(values)
    gc.disable()
    try:
        bad = decode_batch(values, RULES).bad
        del values
        assert len(bad) == 2
        assert gone() is None
    finally:
        gc.enable()
