"""The vectorised parser against decode_one: it may decline any value, but what it parses must be exactly the same."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_analytics.binance import vectorized_parser
from crypto_analytics.binance.trade_decoder import MAX_TRADE_ID, BadTrade, Rules, decode_batch, decode_one
from crypto_analytics.core.spot_market import is_symbol
from crypto_analytics.core.trades import Trade
from tests.unit.trade_json import trade_json

NOW = 1_741_046_500_000_000
RULES = Rules(frozenset({"BTCUSDT", "1000SATSUSDT", "币安人生USDT", "BTC-USDT_2"}), NOW)


@st.composite
def decimals(draw: st.DrawFn) -> str:
    whole = draw(st.integers(0, 92_233_720_366))
    return f"{whole}.{draw(st.text('0123456789', min_size=1, max_size=7))}1"


times = st.one_of(st.integers(1_500_000_000_000, NOW // 1000), st.integers(1_500_000_000_000_000, NOW))
trades = st.builds(
    trade_json,
    symbol=st.sampled_from(sorted(RULES.symbols)),
    trade_id=st.one_of(st.integers(0, 9), st.integers(0, MAX_TRADE_ID)),
    price=decimals(),
    quantity=decimals(),
    time=times,
    maker=st.booleans(),
    best=st.booleans(),
)


def one_by_one(values: list[bytes]) -> tuple[dict[str, list[Trade]], list[tuple[int, str]]]:
    good: dict[str, list[Trade]] = {}
    bad = []
    for position, value in enumerate(values):
        try:
            symbol, trade = decode_one(value, RULES)
        except BadTrade as error:
            bad.append((position, error.reason))
        else:
            good.setdefault(symbol, []).append(trade)
    return good, bad


def agrees(values: list[bytes]) -> None:
    batch = decode_batch(values, RULES)
    decoded = {symbol: columns.rows() for symbol, columns in batch.by_symbol().items()}
    assert (decoded, [(position, error.reason) for position, error in batch.bad]) == one_by_one(values)


@given(st.lists(trades, min_size=1, max_size=30))
def test_trades_as_the_exchange_sends_them_are_parsed_exactly(values: list[bytes]) -> None:
    assert vectorized_parser.parse(values) is not None
    agrees(values)


CHANGES = [*(bytes([byte]) for byte in b'09.,"\\\n\x0c\x0e- \x00(*A\xff'), b""]


@settings(max_examples=500)
@given(st.lists(trades, min_size=1, max_size=4), st.randoms(use_true_random=False), st.data())
def test_a_changed_byte_is_never_overlooked(values: list[bytes], random: Random, data: st.DataObject) -> None:
    number = random.randrange(len(values))
    value = bytearray(values[number])
    position = random.randrange(len(value))
    with_what = data.draw(st.sampled_from(CHANGES))
    value[position : position + random.randrange(2)] = with_what
    values[number] = bytes(value)
    agrees(values)


GOOD = trade_json(7)


@pytest.mark.parametrize("position", range(len(GOOD) + 1))
def test_no_byte_can_be_changed_or_added_unnoticed(position: int) -> None:
    for change in CHANGES:
        for end in (position, position + 1):
            agrees([GOOD, GOOD[:position] + change + GOOD[end:]])


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_two_halves_are_never_parsed_as_a_trade(cut: int) -> None:
    for glue in (b"", b"\x0c", b"\n", b","):
        agrees([GOOD[:cut] + glue, GOOD[cut:], GOOD + glue + GOOD])


@pytest.mark.parametrize(
    "value",
    [
        GOOD.replace(b":7,", b":07,"),
        GOOD.replace(b":7,", b":0,"),
        GOOD.replace(b":7,", b":00,"),
        GOOD.replace(b":7,", b":-0,"),
        GOOD.replace(b":7,", b":-7,"),
        GOOD.replace(b":7,", b":9007199254740993,"),
        GOOD.replace(b":7,", b":12345678901234567,"),
        GOOD.replace(b"27123.", b"."),
        GOOD.replace(b".45000000", b"."),
        GOOD.replace(b".45000000", b".450000000"),
        GOOD.replace(b".45000000", b""),
        GOOD.replace(b"27123.45", b"0.00"),
        GOOD.replace(b"27123.45000000", b"92233720368.54775807"),
        GOOD.replace(b"27123.45000000", b"92233720368.54775808"),
        GOOD.replace(b"27123.45000000", b"99999999999.00000000"),
        GOOD.replace(b"27123", b"000000000027123"),
        GOOD.replace(b"BTC", b"\\u0042TC"),
        GOOD.replace(b"BTC", b"\xff\xff\xff"),
        GOOD.replace(b"BTC", b"XXX"),
        GOOD.replace(b"BTC", b"\x00BTC"),
        GOOD.replace(b"BTCUSDT", b""),
        GOOD.replace(b"BTCUSDT", b"A" * 40),
        GOOD.replace(b'"E":1', b'"E":01'),
        GOOD.replace(b'"E":1741046401272', b'"E":null'),
        GOOD.replace(b'"M":true', b'"M":null'),
        GOOD.replace(b'"m":true', b'"m":True'),
        GOOD.replace(b'"m":true', b'"m":tru"m":true'),
        GOOD.replace(b'"M":true}', b'"M":tru"M":true}'),
        GOOD + b" ",
        b" " + GOOD,
        GOOD + b"\x00",
        b"",
    ],
)
def test_edge_cases_agree_with_decode_one(value: bytes) -> None:
    assert value != GOOD
    agrees([value])
    agrees([GOOD, value, GOOD.replace(b":7,", b":8,")])


@pytest.mark.parametrize(
    "value",
    [
        GOOD.replace(b"BTCUSDT", b'BTC"USDT'),
        GOOD.replace(b"BTCUSDT", b"BTC USDT"),
        GOOD.replace(b"BTCUSDT", b"A" * 17),
        GOOD.replace(b"27123.45000000", b"92233720368.54775808"),
    ],
)
def test_values_that_the_parser_declines_are_decoded_one_by_one(value: bytes) -> None:
    assert vectorized_parser.parse([GOOD]) is not None
    assert vectorized_parser.parse([value]) is None


@pytest.mark.parametrize("symbol", ["A.B-USDT", "币安人生狗狗币USDT", "A" * 50, "1", "_1"])
def test_every_symbol_that_the_exchange_can_list_is_decoded(symbol: str) -> None:
    assert is_symbol(symbol)
    batch = decode_batch([GOOD, trade_json(8, symbol=symbol)], Rules(frozenset({"BTCUSDT", symbol}), NOW))
    assert list(batch.by_symbol()) == ["BTCUSDT", symbol]


def test_symbols_that_differ_only_at_the_start_are_distinguished() -> None:
    known = trade_json(7, symbol="1000SATSUSDT")
    agrees([known, known.replace(b'"1000', b'"2000'), known])


def test_symbols_that_alternate_are_grouped_in_order_of_arrival() -> None:
    agrees(
        [
            trade_json(number, symbol=symbol, time=1741046401271 + number, maker=number % 3 == 0)
            for number in range(1, 9)
            for symbol in sorted(RULES.symbols)
        ]
    )
