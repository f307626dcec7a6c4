"""The generated market."""

from collections import Counter
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crypto_analytics.core.minutes import MINUTE
from exchange_simulator.frames import Encoder, View
from exchange_simulator.generated_market import GeneratedMarket, GeneratedPlay, aggregates_in
from exchange_simulator.trades import Trade, aggregate_runs

START = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z
SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT", "NEWCOINUSDT")


def market(trades: int = 600, seed: int = 42, symbols: tuple[str, ...] = SYMBOLS) -> GeneratedMarket:
    return GeneratedMarket(symbols, seed=seed, trades_per_minute=trades, first_open=START - 60 * MINUTE, end=None)


def played(trades: int = 60, minutes: int = 3, seed: int = 42, after: int = START) -> list[Trade]:
    play = GeneratedPlay(market(trades, seed), START, START + minutes * MINUTE, trades)
    return [trade for part in play.parts(after) for trade in part if isinstance(trade, Trade)]


def frames(trades: list[Trade]) -> bytes:
    view = View(frozenset(f"{symbol.lower()}@trade" for symbol in SYMBOLS), combined=True, microseconds=True)
    return Encoder(view, lambda _: None).encode(trades).data


def test_same_seed_same_bytes() -> None:
    assert frames(played()) == frames(played())
    assert frames(played()) != frames(played(seed=43))


def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = sha256(frames(played())).hexdigest()
    assert digest == "3e16152f5c75bc4c9d5d3e89dbba49276a8b95ae502b25c555f40dd9eb075ed1"


def test_a_minute_does_not_depend_on_those_asked_for_before() -> None:
    later = START + 17 * MINUTE
    walked = market()
    for open_time in range(START, later, MINUTE):
        walked.minute("BTCUSDT", open_time)
    assert walked.trades("BTCUSDT", later) == market().trades("BTCUSDT", later)


@settings(max_examples=25, deadline=None)
@given(trades=st.integers(1, 300), minute=st.integers(-60, 10_000))
@example(trades=41_000, minute=0)  # too many for a millisecond each
def test_each_minute_has_all_its_trades_and_ids_continue(trades: int, minute: int) -> None:
    open_time = START + minute * MINUTE
    small = market(trades, symbols=("BTCUSDT",))
    rows = small.trades("BTCUSDT", open_time)
    following = small.trades("BTCUSDT", open_time + MINUTE)
    assert [row.id for row in rows] == list(range(rows[0].id, rows[0].id + trades))
    assert following[0].id == rows[-1].id + 1
    assert small.minute_of_trade("BTCUSDT", rows[0].id) == small.minute_of_trade("BTCUSDT", rows[-1].id) == open_time
    times = [row.time for row in rows]
    assert times == sorted(times)
    assert open_time < times[0] <= times[-1] < open_time + MINUTE
    aggregates = small.aggregates("BTCUSDT", open_time)
    assert len(aggregates) == aggregates_in(trades)
    assert small.aggregates("BTCUSDT", open_time + MINUTE)[0].id == aggregates[-1].id + 1
    assert {small.minute_of_aggregate("BTCUSDT", aggregate.id) for aggregate in aggregates} == {open_time}


@pytest.mark.parametrize("unit", [1, 1000], ids=["microseconds", "milliseconds"])
def test_aggregates_are_the_runs_of_one_price_side_and_time(unit: int) -> None:
    for symbol in SYMBOLS:
        trades = [trade._replace(time=trade.time // unit) for trade in market().trades(symbol, START)]
        runs = list(aggregate_runs(trades))
        aggregates = market().aggregates(symbol, START)
        assert max(map(len, runs)) > 1
        assert [(a.first_id, a.last_id) for a in aggregates] == [(run[0].id, run[-1].id) for run in runs]
        assert [Decimal(a.quantity) for a in aggregates] == [sum(Decimal(t.quantity) for t in run) for run in runs]
        assert [(a.price, a.buyer_is_maker) for a in aggregates] == [(r[0].price, r[0].buyer_is_maker) for r in runs]


def test_ids_start_far_from_one_and_differ_between_symbols() -> None:
    firsts = [market().first_id(symbol, START) for symbol in SYMBOLS]
    assert min(firsts) > 1_000_000
    assert len(set(firsts)) == len(SYMBOLS)
    assert max(firsts) < 2**53


def test_numbers_have_eight_decimals_on_tick_and_lot() -> None:
    lots = {"BTCUSDT": (2, 5), "ETHUSDT": (2, 4), "DOGEUSDT": (5, 0), "NEWCOINUSDT": (4, 1)}
    for symbol, (price_decimals, lot_decimals) in lots.items():
        assert market().precision(symbol) == (price_decimals, lot_decimals)
        for trade in market().trades(symbol, START):
            for text, decimals in ((trade.price, price_decimals), (trade.quantity, lot_decimals)):
                assert len(text.partition(".")[2]) == 8
                assert Decimal(text) > 0
                assert Decimal(text) % Decimal(1).scaleb(-decimals) == 0


def test_the_price_walks_without_jumps_and_stays_near_its_listing() -> None:
    prices = [Decimal(trade.price) for trade in played(600, 5) if trade.symbol == "BTCUSDT"]
    steps = [abs(after / before - 1) for before, after in pairwise(prices)]
    assert max(steps) < Decimal("0.001")
    assert len(set(prices)) > len(prices) // 4
    for day in range(0, 3650, 73):
        price = Decimal(market().trades("BTCUSDT", START + day * 1440 * MINUTE)[0].price)
        assert 85_000 < price < 110_000


def test_both_sides_trade() -> None:
    sides = Counter(trade.buyer_is_maker for trade in market().trades("BTCUSDT", START))
    assert min(sides.values()) > 200


def test_a_play_goes_in_time_order_through_all_symbols() -> None:
    trades = played()
    assert len(trades) == 60 * 3 * len(SYMBOLS)
    assert [trade.time for trade in trades] == sorted(trade.time for trade in trades)
    for symbol in SYMBOLS:
        own = [trade.id for trade in trades if trade.symbol == symbol]
        assert own == list(range(own[0], own[0] + 180))
        assert own[0] == market(60).first_id(symbol, START)
    assert sum(a.symbol != b.symbol for a, b in pairwise(trades)) > 100


def test_a_play_can_begin_within_a_minute() -> None:
    middle = START + MINUTE + MINUTE // 2
    assert played(after=middle) == [trade for trade in played() if trade.time > middle]


def test_the_play_has_final_ids_and_an_end() -> None:
    play = GeneratedPlay(market(60), START, START + 3 * MINUTE, 60)
    assert play.total == 60 * 3 * len(SYMBOLS)
    assert play.final_id("BTCUSDT") == max(trade.id for trade in played() if trade.symbol == "BTCUSDT")
    endless = GeneratedPlay(market(60), START, None, 60)
    assert (endless.total, endless.ends_at, endless.final_id("BTCUSDT")) == (None, None, None)
    assert GeneratedPlay(market(60), START + 1, START + 3 * MINUTE, 60).total is None
