import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.lines import Lines

values = st.lists(st.binary(max_size=20).map(lambda value: value.replace(b"\n", b"")), max_size=12)


def text(values: list[bytes]) -> bytes:
    return b"".join(value + b"\n" for value in values)


@given(values)
def test_values_come_back_one_by_one_and_as_a_text(values: list[bytes]) -> None:
    lines = Lines.of(values)
    assert (len(lines), lines.values(), lines.text()) == (len(values), values, text(values))


@given(st.lists(values, max_size=5), st.data())
def test_lines_are_joined_cut_and_picked_as_a_list_is(pieces: list[list[bytes]], data: st.DataObject) -> None:
    together = [value for piece in pieces for value in piece]
    joined = Lines.joined([Lines.of(piece) for piece in pieces])
    assert (joined.values(), joined.text()) == (together, text(together))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(together))] * 2)))
    cut = joined.slice(start, stop)
    assert (cut.values(), cut.text()) == (together[start:stop], text(together[start:stop]))
    positions = data.draw(st.lists(st.integers(0, len(together) - 1), max_size=8)) if together else []
    picked = joined.take(np.array(positions, np.int64))
    expected = [together[position] for position in positions]
    assert (picked.values(), picked.text()) == (expected, text(expected))
    again = Lines.joined([picked, cut])
    assert again.values() == expected + together[start:stop]


def test_a_value_that_would_be_two_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="newline"):
        Lines.of([b"a", b"b\nc"])


def test_lines_of_a_text_that_has_more_than_them() -> None:
    text = b"margin\none\ntwo\nmargin"
    lines = Lines([text], np.array([7, 11]), np.array([10, 14]))
    assert (lines.values(), lines.text()) == ([b"one", b"two"], b"one\ntwo\n")
    joined = Lines.joined([lines, Lines.of([b"x"]), lines])
    assert joined.text() == b"one\ntwo\nx\none\ntwo\n"
