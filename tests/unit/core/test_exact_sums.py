"""Sum integers and products exactly, also beyond 64 bits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.exact_sums import exact_sum, exact_sum_of_products

LARGEST = 2**63 - 1
numbers = st.one_of(st.integers(0, 10**6), st.integers(0, LARGEST), st.just(LARGEST))


@given(st.lists(st.tuples(numbers, numbers)), st.sampled_from([1, 150]))
def test_sums_are_exact_at_any_size(pairs: list[tuple[int, int]], times: int) -> None:
    left, right = (np.array([pair[side] for pair in pairs] * times, np.int64) for side in (0, 1))
    assert exact_sum(left) == times * sum(a for a, _ in pairs)
    assert exact_sum_of_products(left, right) == times * sum(a * b for a, b in pairs)


def test_many_products_of_a_usual_size_are_exact() -> None:
    prices, quantities = (
        [12_345_678_900_000_000 + n for n in range(20_000)],
        [98_765_400_000 + n for n in range(20_000)],
    )
    exact = sum(a * b for a, b in zip(prices, quantities, strict=True))
    assert exact_sum_of_products(np.array(prices, np.int64), np.array(quantities, np.int64)) == exact
