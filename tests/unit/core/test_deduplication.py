"""Drop trades that are already merged or occur twice, and split aggregates that overlap in part."""

import json

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.candles import aggregate
from crypto_analytics.core.decimals import format_scaled
from crypto_analytics.core.deduplication import deduplicate
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import Trade, TradeColumns
from tests.candle_monoid import EMPTY, candle_of, merge_all
from tests.unit.core.strategies import START, trades_with_unique_ids


def single(trade_id: int, quantity: int = 100, price: int = 5, maker: bool = False) -> Trade:
    return Trade(trade_id, trade_id, price, quantity, START + trade_id, maker)


def aggregated(first: int, last: int, quantity: int, price: int = 5, maker: bool = False) -> Trade:
    raw = json.dumps({"e": "aggTrade", "a": 7, "q": format_scaled(quantity), "f": first, "l": last}).encode()
    return Trade(first, last, price, quantity, START + first, maker, raw)


def ids(*ranges: tuple[int, int]) -> IdRanges:
    return IdRanges(ranges)


@given(trades_with_unique_ids(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_replays_and_repeats_change_nothing(trades: list[Trade], random, times: int) -> None:
    stream = random.sample(trades * times, len(trades) * times)
    known, total = IdRanges(), EMPTY
    while stream:
        size = random.randint(1, len(stream))
        batch, stream = stream[:size], stream[size:]
        result = deduplicate(TradeColumns.of(batch), known)
        assert not result.rejected
        assert result.fresh_ids.isdisjoint(known)
        assert len(result.fresh) + result.duplicates == len(batch)
        known.update(result.fresh_ids)
        total = merge_all([total, *aggregate(result.fresh).values()])
    assert total == merge_all(map(candle_of, trades))
    assert known == IdRanges((trade.first_id, trade.last_id) for trade in trades)


def test_a_batch_without_duplicates_is_returned_unchanged() -> None:
    columns = TradeColumns.of([single(1), single(2), single(3)])
    assert deduplicate(columns, ids((10, 12))).fresh is columns


def test_the_first_of_two_trades_with_one_id_counts() -> None:
    result = deduplicate(TradeColumns.of([single(1, 10), single(1, 99)]), ids())
    assert result.fresh.quantities == [10]
    assert result.duplicates == 1


def test_an_aggregate_whose_trades_are_all_merged_is_a_duplicate() -> None:
    result = deduplicate(TradeColumns.of([aggregated(4, 6, 300)]), ids((1, 9)))
    assert (len(result.fresh), result.duplicates, result.rejected) == (0, 1, [])


def test_an_aggregate_is_split_if_the_merged_trades_are_in_the_batch() -> None:
    result = deduplicate(TradeColumns.of([aggregated(4, 7, 1000), single(4, 100), single(5, 250)]), ids((1, 4)))
    assert result.duplicates == 1  # trade 4 itself
    assert result.fresh_ids == ids((5, 7))
    rest = result.fresh.rows()[-1]
    assert (rest.first_id, rest.last_id, rest.quantity) == (6, 7, 650)
    assert json.loads(rest.raw) == {"e": "aggTrade", "a": 7, "q": "0.00000650", "f": 6, "l": 7}


def test_an_aggregate_is_rejected_if_the_merged_trades_are_not_in_the_batch() -> None:
    overlapping = aggregated(4, 7, 1000)
    result = deduplicate(TradeColumns.of([overlapping]), ids((1, 4)))
    assert result.rejected == [overlapping]
    assert len(result.fresh) == 0


def test_an_aggregate_is_rejected_if_two_ranges_remain() -> None:
    overlapping = aggregated(4, 8, 1000)
    result = deduplicate(TradeColumns.of([single(6, 100), overlapping]), ids())
    assert result.rejected == [overlapping]
    assert result.fresh_ids == ids((6, 6))


def test_an_aggregate_is_rejected_if_an_individual_trade_contradicts_it() -> None:
    for contradiction in (single(4, 100, price=6), single(4, 100, maker=True), single(4, 1000)):
        overlapping = aggregated(4, 7, 1000)
        assert deduplicate(TradeColumns.of([contradiction, overlapping]), ids()).rejected == [overlapping]
