"""Take trades out of the stream's frames byte for byte, and reject invalid frames with a reason."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.trade_decoder import BadTrade, Rules
from crypto_analytics.producer.frames import MAX_FRAME_BYTES, Ignored, classify

TRADE = (
    b'{"e":"trade","E":1741046401271969,"s":"TRXUSDT","t":348656870,"p":"0.2312","q":"2619.4",'
    b'"T":1741046401271497,"m":true,"M":true}'
)
RULES = Rules(frozenset({"TRXUSDT"}), 2_000_000_000_000_000)


def enveloped(data: bytes) -> bytes:
    return b'{"stream":"trxusdt@trade","data":' + data + b"}"


@pytest.mark.parametrize(
    "frame",
    [
        enveloped(TRADE),
        b' { "data" : ' + TRADE + b' , "stream" : "x" , "more" : [1] } ',
        enveloped(TRADE.replace(b'"e":"trade",', b"").replace(b'"M":true', b'"M":true,"e":"trade"')),
    ],
)
def test_a_trade_is_cut_out_of_its_envelope_as_received(frame: bytes) -> None:
    outcome = classify(frame, RULES)
    assert isinstance(outcome, tuple)
    symbol, trade = outcome
    assert (symbol, trade.first_id, trade.price, trade.quantity) == ("TRXUSDT", 348656870, 23120000, 261940000000)
    assert trade.raw in frame
    assert msgspec.json.decode(trade.raw)["t"] == 348656870


def test_an_aggregated_trade_is_taken_too() -> None:
    value = b'{"e":"aggTrade","E":1,"s":"TRXUSDT","a":5,"p":"1.0","q":"2","f":7,"l":9,"T":1741046401271497,"m":true}'
    outcome = classify(enveloped(value), RULES)
    assert isinstance(outcome, tuple)
    assert (outcome[1].first_id, outcome[1].last_id, outcome[1].raw) == (7, 9, value)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"result":null,"id":1}', "reply"),
        (b'{"error":{"code":2,"msg":"no"},"id":"x"}', "reply"),
        (enveloped(b'{"e":"serverShutdown","E":1770123456789}'), "serverShutdown"),
        (enveloped(b'{"e":"!serverShutdown","E":1770123456789}'), "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"!serverShutdown","E":1}}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{"E":1}}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{}}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":null}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":[{"E":1}]}', "serverShutdown"),
        (b'{"data":{"E":1},"stream":"serverShutdown"}', "serverShutdown"),
        (b'{"stream":"!serverShutdown"}', "serverShutdown"),
        (b'{"e":"serverShutdown","E":1770123456789}', "serverShutdown"),
        (b'{"e":"!serverShutdown"}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"kline"}}', "kline"),
        (enveloped(b'{"e":"kline","E":1,"s":"TRXUSDT","k":{}}'), "kline"),
    ],
)
def test_what_is_no_trade_by_design_is_ignored(frame: bytes, kind: str) -> None:
    assert classify(frame, RULES) == Ignored(kind)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (enveloped(TRADE)[:-1], "not_json"),
        (enveloped(b'{"e":"trade","s":"\xff"}'), "not_json"),
        (b'{"data":' + b"[" * 8000 + b"]" * 8000 + b"}", "not_json"),
        (enveloped(TRADE.replace(b'"M":true', b'"x":' + b"[" * 7000 + b"]" * 7000)), "not_json"),
        (b"null", "wrong_shape"),
        (b"[]", "wrong_shape"),
        (b'{"id":1}', "wrong_shape"),
        (b'{"stream":"x"}', "wrong_shape"),
        (TRADE, "wrong_shape"),
        (enveloped(b"null"), "wrong_shape"),
        (enveloped(b'{"e":"noise"}'), "wrong_shape"),
        (enveloped(b'{"e":"!noise"}'), "wrong_shape"),
        (b'{"stream":"!serverShutdown!","data":{"E":1}}', "wrong_shape"),
        (b'{"stream":["!serverShutdown"],"data":{"E":1}}', "wrong_shape"),
        (b'{"stream":"!serverShutdown","data":{"E":1}', "not_json"),
        (enveloped(TRADE.replace(b'"m":true', b'"X":"INSURANCE_FUND","m":true')), "futures"),
        (enveloped(TRADE.replace(b'"m":true,"M":true', b'"X":"MARKET","m":true')), "futures"),
        (enveloped(TRADE.replace(b"TRXUSDT", b"TRXUSDT_240329")), "futures"),
        (enveloped(b'{"e":"markPriceUpdate","E":1,"s":"TRXUSDT","p":"1","r":"0.0001","T":1}'), "futures"),
        (enveloped(b'{"e":"forceOrder","E":1,"o":{}}'), "futures"),
        (enveloped(TRADE.replace(b'"2619.4"', b"2619.4")), "wrong_shape"),
        (enveloped(TRADE.replace(b"TRXUSDT", b"DOGEUSDT")), "unknown_symbol"),
        (enveloped(TRADE.replace(b"348656870", b"-1")), "bad_id"),
        (enveloped(TRADE.replace(b"348656870", b"9007199254740993")), "bad_id"),
        (enveloped(TRADE.replace(b'"0.2312"', b'"-0.2312"')), "bad_price"),
        (enveloped(TRADE.replace(b'"2619.4"', b'"0"')), "bad_quantity"),
        (enveloped(TRADE.replace(b"1741046401271497", b"4741046401271497")), "bad_time"),
        (enveloped(TRADE.replace(b'"M":true', b'"M":"' + b"x" * MAX_FRAME_BYTES + b'"')), "too_large"),
        (b"x" * 1_000_000, "too_large"),
    ],
)
def test_everything_else_is_bad_with_its_reason(frame: bytes, reason: str) -> None:
    outcome = classify(frame, RULES)
    assert isinstance(outcome, BadTrade)
    assert outcome.reason == reason
    assert outcome.detail


def test_a_trade_is_a_trade_whatever_its_stream_is_called() -> None:
    assert isinstance(classify(b'{"stream":"!serverShutdown","data":' + TRADE + b"}", RULES), tuple)
    assert isinstance(classify(b'{"stream":7,"data":' + TRADE + b"}", RULES), tuple)


@pytest.mark.parametrize("data", [b'"X":"INSURANCE_FUND"', b'"X":"NA"', b'"ps":"TRXUSD"'])
def test_a_futures_trade_is_named_as_one(data: bytes) -> None:
    outcome = classify(enveloped(TRADE.replace(b'"M":true', data)), RULES)
    assert isinstance(outcome, BadTrade)
    assert outcome.detail.startswith("this is a futures trade of 'TRXUSDT'")
    assert "BINANCE_WS_URL" in outcome.detail


def test_symbols_with_chinese_characters_are_followed() -> None:
    value = TRADE.replace(b"TRXUSDT", "币安人生USDT".encode())
    outcome = classify(enveloped(value), Rules(frozenset({"币安人生USDT"}), RULES.latest))
    assert isinstance(outcome, tuple)
    assert (outcome[0], outcome[1].raw) == ("币安人生USDT", value)


@given(st.one_of(st.binary(max_size=300), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["e", "s", "t", "p", "q", "T", "m", "data", "stream", "id", "result"]), inner, max_size=6),
    max_leaves=20,
).map(lambda value: msgspec.json.encode({"data": value})), st.binary(max_size=100).map(enveloped)))  # fmt: skip
def test_no_frame_whatever_raises(frame: bytes) -> None:
    assert isinstance(classify(frame, RULES), Ignored | BadTrade)


def test_every_recorded_frame_is_a_trade_whose_bytes_stay(recorded_data: Path) -> None:
    lines = (recorded_data / "TRXUSDT-stream-2025-03-04.tsv").read_bytes().splitlines()
    for line in lines:
        _, frame = line.split(b"\t", 1)
        outcome = classify(frame, RULES)
        assert isinstance(outcome, tuple)
        assert frame == b'{"stream":"trxusdt@trade","data":' + outcome[1].raw + b"}"
