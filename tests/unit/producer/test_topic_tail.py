"""Read the end of the trades topic at the start: the last ids and the gaps of the stream."""

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.producer.rest_trades import trade_object
from crypto_analytics.producer.topic_tail import TailIndex, windows
from tests.unit.producer.exchange import trade


def value(symbol: str, trade_id: int) -> bytes:
    return trade_object(symbol, trade(trade_id))


@given(low=st.integers(0, 10**6), length=st.integers(0, 10**6), most=st.integers(1, 10**6))
def test_windows_go_back_from_the_end_without_a_gap_and_within_the_bound(low: int, length: int, most: int) -> None:
    high = low + length
    seen = list(windows(low, high, most))
    assert all(start < end for start, end in seen)
    assert [end for _, end in seen] == [high, *(start for start, _ in seen[:-1])][: len(seen)]
    if length:
        assert seen[-1][0] == max(low, high - most)
    assert len(seen) <= 10


def test_each_window_is_about_as_long_as_all_before_it() -> None:
    lengths = [end - start for start, end in windows(0, 1_000_000, 150_000)]
    assert lengths == [10_000, 10_000, 20_000, 40_000, 70_000]


def test_the_last_ids_and_the_gaps_of_the_stream_are_read() -> None:
    index = TailIndex(frozenset({"A", "B"}))
    for trade_id in (10, 11, 14, 15):
        index.add(value("A", trade_id), streamed=True)
    index.add(value("A", 12), streamed=False)
    assert not index.is_complete()
    index.add(value("B", 900), streamed=True)
    assert index.is_complete()
    assert index.result() == {"A": IdRanges([(10, 12), (14, 15)]), "B": IdRanges([(900, 900)])}


def test_repaired_records_far_back_make_no_gap() -> None:
    index = TailIndex(frozenset({"A"}))
    index.add(value("A", 5), streamed=False)
    for trade_id in (1000, 1001):
        index.add(value("A", trade_id), streamed=True)
    assert index.result() == {"A": IdRanges([(1000, 1001)])}


def test_of_repaired_records_alone_only_the_newest_run_counts_and_reading_goes_on() -> None:
    index = TailIndex(frozenset({"A"}))
    for trade_id in (5, 6, 50, 51):
        index.add(value("A", trade_id), streamed=False)
    assert not index.is_complete()
    assert index.result() == {"A": IdRanges([(50, 51)])}


def test_records_other_than_trades_of_configured_symbols_are_ignored() -> None:
    index = TailIndex(frozenset({"A"}))
    for junk in (b"", b"\xff", b"{}", value("OTHER", 7)):
        index.add(junk, streamed=True)
    assert index.result() == {}
