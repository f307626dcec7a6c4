"""Hypothesis strategies shared by the tests of the core."""

from hypothesis import strategies as st

from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.core.trades import Trade

START = 29_000_000 * MINUTE


@st.composite
def trades_with_unique_ids(draw: st.DrawFn, largest: int = 30, minutes: int = 3) -> list[Trade]:
    """Trades and aggregated trades whose ids never overlap, in any order and at any time within a few minutes."""
    spans = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=largest))
    rows, next_id = [], 0
    for gap, length in spans:
        first = next_id + gap
        rows.append((first, first + length - 1))
        next_id = first + length
    trades = [
        Trade(
            first,
            last,
            price=draw(st.integers(1, 10**15)),
            quantity=draw(st.integers(1, 10**15)),
            time=START + draw(st.integers(0, minutes * MINUTE - 1)),
            buyer_is_maker=draw(st.booleans()),
        )
        for first, last in rows
    ]
    return draw(st.permutations(trades))
