"""Store byte strings in one buffer: the column behaves like a list of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.bytes_column import BytesColumn

values = st.lists(st.binary(max_size=20).map(lambda value: value.replace(b"\n", b"")), max_size=12)


def lines_of(values: list[bytes]) -> bytes:
    return b"".join(value + b"\n" for value in values)


@given(values)
def test_a_column_returns_its_values_as_a_list_and_as_lines(values: list[bytes]) -> None:
    column = BytesColumn.of(values)
    assert (len(column), column.to_list(), column.to_lines()) == (len(values), values, lines_of(values))


@given(st.lists(values, max_size=5), st.data())
def test_joined_slice_and_take_agree_with_lists(parts: list[list[bytes]], data: st.DataObject) -> None:
    together = [value for part in parts for value in part]
    joined = BytesColumn.joined([BytesColumn.of(part) for part in parts])
    assert (joined.to_list(), joined.to_lines()) == (together, lines_of(together))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(together))] * 2)))
    sliced = joined.slice(start, stop)
    assert (sliced.to_list(), sliced.to_lines()) == (together[start:stop], lines_of(together[start:stop]))
    positions = data.draw(st.lists(st.integers(0, len(together) - 1), max_size=8)) if together else []
    taken = joined.take(np.array(positions, np.int64))
    expected = [together[position] for position in positions]
    assert (taken.to_list(), taken.to_lines()) == (expected, lines_of(expected))
    again = BytesColumn.joined([taken, sliced])
    assert again.to_list() == expected + together[start:stop]


def test_a_value_with_a_newline_is_rejected() -> None:
    with pytest.raises(ValueError, match="newline"):
        BytesColumn.of([b"a", b"b\nc"])


def test_a_buffer_may_contain_other_bytes_than_the_values() -> None:
    buffer = b"margin\none\ntwo\nmargin"
    column = BytesColumn([buffer], np.array([7, 11]), np.array([10, 14]))
    assert (column.to_list(), column.to_lines()) == ([b"one", b"two"], b"one\ntwo\n")
    joined = BytesColumn.joined([column, BytesColumn.of([b"x"]), column])
    assert joined.to_lines() == b"one\ntwo\nx\none\ntwo\n"
