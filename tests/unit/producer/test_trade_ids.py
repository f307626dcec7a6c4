"""Track the trade ids of a symbol: which were sent, and which are missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.trade_ids import TradeIds

ID_SETS = st.sets(st.integers(0, 40))


def ranges(ids: set[int]) -> IdRanges:
    return IdRanges((i, i) for i in ids)


def ids_of(held: IdRanges) -> set[int]:
    return {i for first, last in held for i in range(first, last + 1)}


@given(ID_SETS, st.integers(0, 40), st.integers(0, 40))
def test_removing_a_range_from_a_set_of_ids(ids: set[int], first: int, length: int) -> None:
    last = first + length
    held = ranges(ids)
    held.remove(first, last)
    assert held == ranges(ids - set(range(first, last + 1)))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=40))
def test_gaps_are_the_ids_that_were_skipped_and_never_arrived(spans: list[tuple[int, int]]) -> None:
    seen = TradeIds()
    sent: set[int] = set()
    for first, length in spans:
        seen.observe(first, first + length)
        sent |= set(range(first, first + length + 1))
    start = spans[0][0]
    assert ids_of(seen.gaps) == {i for i in range(start, max(sent) + 1) if i not in sent}
    assert seen.next == max(sent) + 1


def test_a_symbol_never_seen_starts_with_its_first_trade() -> None:
    seen = TradeIds()
    seen.expect(500)
    assert not seen.gaps
    seen.observe(498, 498)
    assert not seen.gaps
    assert seen.next == 499


def test_a_symbol_without_trades_misses_those_issued_since_the_first_request() -> None:
    seen = TradeIds()
    seen.expect(500)
    seen.expect(500)
    assert not seen.gaps
    seen.expect(503)
    assert list(seen.gaps) == [(501, 503)]
    seen.observe(501, 503)
    assert not seen.gaps
    assert seen.next == 504


def test_the_first_trade_of_a_listing_has_id_0_and_the_next_one_is_1() -> None:
    seen = TradeIds()
    seen.observe(0, 0)
    assert seen.next == 1
    seen.observe(3, 3)
    assert list(seen.gaps) == [(1, 2)]
    resumed = TradeIds()
    resumed.resume(IdRanges([(0, 0)]))
    resumed.expect(2)
    assert list(resumed.gaps) == [(1, 2)]


def test_a_symbol_that_had_only_trade_0_when_it_was_asked_for_misses_those_after_it() -> None:
    seen = TradeIds()
    seen.expect(0)
    assert not seen.is_behind(0)
    assert seen.is_behind(1)
    seen.expect(2)
    assert list(seen.gaps) == [(1, 2)]


def test_a_symbol_known_to_begin_with_0_misses_0() -> None:
    seen = TradeIds()
    assert seen.is_behind(0)
    seen.begin(0)
    seen.expect(0)
    assert list(seen.gaps) == [(0, 0)]
    seen.observe(0, 0)
    assert not seen.gaps
    assert not seen.is_behind(0)


def test_what_happened_between_the_first_answer_and_the_first_trade_is_missing() -> None:
    seen = TradeIds()
    seen.expect(0)
    seen.observe(3, 3)
    assert list(seen.gaps) == [(1, 2)]


def test_ids_that_the_exchange_is_ahead_are_a_gap_until_they_arrive() -> None:
    seen = TradeIds()
    seen.observe(10, 10)
    seen.expect(13)
    assert list(seen.gaps) == [(11, 13)]
    seen.observe(12, 12)
    seen.observe(14, 14)
    assert list(seen.gaps) == [(11, 11), (13, 13)]
    seen.expect(12)
    assert list(seen.gaps) == [(11, 11), (13, 13)]


def test_a_symbol_is_behind_if_it_lacks_trades_neither_sent_nor_expected() -> None:
    seen = TradeIds()
    seen.expect(500)
    assert not seen.is_behind(500)
    assert seen.is_behind(501)
    seen.observe(501, 501)
    assert not seen.is_behind(501)
    assert seen.is_behind(502)


def test_a_resumed_run_has_the_gaps_of_the_earlier_one() -> None:
    seen = TradeIds()
    seen.resume(IdRanges([(10, 20), (25, 30)]))
    assert (seen.next, list(seen.gaps)) == (31, [(21, 24)])
    seen.resume(IdRanges())
    assert seen.next == 31


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        TradeIds().reopen(5, 4)
