"""Aggregate trades into partial candles, and merge these in any order and grouping.

The merge here is the reference of the tests. The product's is SQL: tests/integration/test_merge.py tests it.
"""

from collections import defaultdict
from decimal import Decimal
from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.core.candles import PartialCandle, aggregate
from crypto_analytics.core.decimals import UNIT
from crypto_analytics.core.deduplication import deduplicate
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.minutes import MINUTE, minute_of, to_datetime
from crypto_analytics.core.trades import Trade, TradeColumns
from tests.candle_monoid import EMPTY, candle_of, merge, merge_all
from tests.oracle import MEASURES, Candle, Oracle
from tests.unit.core.strategies import START, trades_with_unique_ids
from tests.unit.trade_json import trade_json

candles = trades_with_unique_ids(largest=12).map(lambda trades: [candle_of(trade) for trade in trades])


@given(candles, st.randoms(use_true_random=False))
def test_any_order_and_any_grouping_give_the_same_candle(parts: list[PartialCandle], random: Random) -> None:
    expected = reduce(merge, parts, EMPTY)
    shuffled = random.sample(parts, len(parts))
    while len(shuffled) > 1:  # merge neighbours in random places: every grouping can come up
        position = random.randrange(len(shuffled) - 1)
        shuffled[position : position + 2] = [merge(shuffled[position], shuffled[position + 1])]
    assert merge_all(shuffled) == expected


@given(candles)
def test_empty_is_the_identity(parts: list[PartialCandle]) -> None:
    for part in parts:
        assert merge(part, EMPTY) == part == merge(EMPTY, part)


@given(trades_with_unique_ids())
def test_aggregate_is_the_merge_of_single_trades(trades: list[Trade]) -> None:
    expected: dict[int, PartialCandle] = defaultdict(lambda: EMPTY)
    for trade in trades:
        minute = minute_of(trade.time)
        expected[minute] = merge(expected[minute], candle_of(trade))
    assert aggregate(TradeColumns.of(trades)) == expected


@given(trades_with_unique_ids(), st.randoms(use_true_random=False))
def test_batches_add_up_to_the_whole(trades: list[Trade], random: Random) -> None:
    whole = aggregate(TradeColumns.of(trades))
    batches: list[list[Trade]] = [[], [], []]
    for trade in trades:
        batches[random.randrange(3)].append(trade)
    total: dict[int, PartialCandle] = defaultdict(lambda: EMPTY)
    for batch in batches:
        for minute, candle in aggregate(TradeColumns.of(batch)).items():
            total[minute] = merge(total[minute], candle)
    assert total == whole


def as_the_oracle_has_it(candle: PartialCandle) -> Candle:
    """Return ``candle`` with the oracle's names and decimals."""
    one, square = Decimal(UNIT), Decimal(UNIT * UNIT)
    values = (
        candle.open / one, candle.high / one, candle.low / one, candle.close / one,
        candle.volume / one, candle.quote_volume / square, Decimal(candle.trade_count),
        candle.taker_buy_volume / one, candle.taker_buy_quote_volume / square,
        Decimal(candle.open_id), Decimal(candle.close_id),
    )  # fmt: skip
    return dict(zip(MEASURES, values, strict=True))


values_from_zero = st.permutations(range(8)).flatmap(
    lambda order: st.tuples(
        *(
            st.builds(
                trade_json,
                st.just(trade_id),
                price=st.sampled_from(["1.00000000", "2.50000000", "0.00000001"]),
                quantity=st.sampled_from(["3.00000000", "0.10000000"]),
                time=st.integers(START // 1000, (START + 2 * MINUTE) // 1000),
                maker=st.booleans(),
            )
            for trade_id in order
        )
    )
)


@given(values_from_zero, st.integers(1, 8), st.booleans())
def test_the_first_candles_of_a_symbol_equal_the_oracle(values: tuple[bytes, ...], size: int, compact: bool) -> None:
    """Decode the bytes of a stream from id 0 on, in batches and by both decoders, and compare the candles."""
    spaced = [value if compact else value.replace(b":", b": ", 1) for value in values]
    known: IdRanges = IdRanges()
    candles: dict[int, PartialCandle] = defaultdict(lambda: EMPTY)
    for start in range(0, len(spaced), size):
        batch = decode_batch(spaced[start : start + size], Rules(frozenset({"BTCUSDT"}), START + 3 * MINUTE))
        assert batch.bad == []
        fresh = deduplicate(batch.trades, known)
        known.update(fresh.fresh_ids)
        for minute, candle in aggregate(fresh.fresh).items():
            candles[minute] = merge(candles[minute], candle)
    oracle = Oracle()
    oracle.add_values(values)
    found = {("BTCUSDT", to_datetime(minute)): as_the_oracle_has_it(candle) for minute, candle in candles.items()}
    assert found == oracle.candles
    assert list(known) == [(0, 7)]


def test_open_and_close_go_by_id_not_by_arrival_or_time() -> None:
    start = 1_700_000_000 * 1_000_000 // MINUTE * MINUTE
    trades = [
        Trade(12, 12, 300, 1, start + 1, False),
        Trade(10, 10, 100, 1, start + 3, False),
        Trade(11, 11, 200, 1, start + 2, True),
    ]
    (candle,) = aggregate(TradeColumns.of(trades)).values()
    assert (candle.open, candle.open_id, candle.close, candle.close_id) == (100, 10, 300, 12)
    assert (candle.volume, candle.taker_buy_volume) == (3, 2)


def test_a_minute_is_half_open() -> None:
    start = 29_000_000 * MINUTE
    trades = [Trade(1, 1, 1, 1, start + MINUTE - 1, False), Trade(2, 2, 1, 1, start + MINUTE, False)]
    assert list(aggregate(TradeColumns.of(trades))) == [start, start + MINUTE]


def test_products_beyond_64_bits_stay_exact() -> None:
    largest = 2**63 - 1
    (candle,) = aggregate(TradeColumns.of([Trade(1, 1, largest, largest, 0, False)] * 1)).values()
    assert candle.quote_volume == largest * largest
