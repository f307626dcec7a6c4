import json

import numpy as np
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
    assert picked.text() == text([together[position] for position in positions])
    again = Lines.joined([picked, cut])
    assert again.values() == picked.values() + cut.values()


def test_json_that_spans_lines_takes_one_line() -> None:
    spread = json.dumps({"t": 2, "s": "a"}, indent=2).encode()
    assert Lines.of([b'{"t":1}', spread + b"\r\n", b" 7"]).values() == [b'{"t":1}', b'{"t":2,"s":"a"}', b" 7"]
