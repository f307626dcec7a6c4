"""Keep ids as ranges: the set operations agree with a plain set."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.id_ranges import IdRange, IdRanges

pairs = st.tuples(st.integers(0, 80), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
many = st.lists(pairs, max_size=25)


def ids_of(ranges: list[tuple[int, int]]) -> set[int]:
    return {trade_id for first, last in ranges for trade_id in range(first, last + 1)}


@given(many)
def test_ids_are_kept_in_the_fewest_ranges(ranges: list[tuple[int, int]]) -> None:
    ids = IdRanges(ranges)
    expected = ids_of(ranges)
    assert ids_of(list(ids)) == expected
    assert ids.count() == len(expected)
    assert ids.last == max(expected, default=None)
    rows = list(ids)
    assert all(right.first > left.last + 1 for left, right in pairwise(rows))


@given(many, pairs)
def test_queries_agree_with_a_plain_set(ranges: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    ids, expected = IdRanges(ranges), ids_of(ranges)
    wanted = set(range(asked[0], asked[1] + 1))
    assert ids.covers(*asked) == (wanted <= expected)
    assert ids.overlaps(*asked) == bool(wanted & expected)
    assert ids_of(list(ids.missing(*asked))) == wanted - expected
    assert (asked[0] in ids) == (asked[0] in expected)


@given(many, many)
def test_two_sets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = IdRanges(left), IdRanges(right)
    assert a.isdisjoint(b) == ids_of(left).isdisjoint(ids_of(right))
    assert ids_of(list(a.intersection(b))) == ids_of(left) & ids_of(right)
    assert a == IdRanges(left)
    a.update(b)
    assert a == IdRanges(left + right)


@given(many)
def test_gaps_are_the_ids_between_the_ranges(ranges: list[tuple[int, int]]) -> None:
    expected = ids_of(ranges)
    between = set(range(min(expected), max(expected))) - expected if expected else set()
    assert ids_of(list(IdRanges(ranges).gaps())) == between


@given(st.lists(st.integers(0, 60), max_size=40))
def test_columns_of_single_ids(ids: list[int]) -> None:
    assert IdRanges.of_columns(ids, ids) == IdRanges((i, i) for i in ids)


def test_a_backward_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5\.\.4"):
        IdRanges([(5, 4)])


def test_repr_and_rows() -> None:
    ids = IdRanges([(1, 2), (3, 4), (9, 9)])
    assert repr(ids) == "IdRanges([(1, 4), (9, 9)])"
    assert list(ids) == [IdRange(1, 4), IdRange(9, 9)]
    assert len(ids) == 2
